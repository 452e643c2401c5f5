"""What happens to a layer's inputs before its rows: clamped where they enter, and summed."""

from __future__ import annotations

from miniml.kernels.avr.code import Code
from miniml.kernels.avr.tiles import START, TILE

_SUM = (18, 19, 20, 21)
_X, _ZERO = 16, 17


def clamp(code: Code, register: int, x_low: int) -> None:
    """At least x_low, for any int8; the same cycles either way."""
    if x_low == 0:
        code.op(f"sbrc r{register}, 7", f"clr r{register}")
    else:
        code.op(f"cpi r{register}, 128", "brne .+2", f"inc r{register}")


def inputs(
    n_inputs: int, x_low: int, buffer: str, offset: str | None, *, first: bool, shifted: bool
) -> Code:
    """Copy X's bytes to the buffer, clamped (`first`), or take them from there; sum if asked.

    Args:
        n_inputs: how many.
        x_low: the lowest; -128 becomes -127.
        buffer: address.
        offset: where -128 * sum(x') goes, 32 bits, with x' as in `loop`; None: nowhere.
        first: whether these are the model's inputs.
        shifted: whether x + 128 is stored.
    """
    code = Code()
    pointer = 28 if first else 26
    code.load_address(pointer, buffer)
    if offset is not None:
        code.comment("sum of the inputs, by which the loop's weights are too large")
        code.op(f"clr r{_ZERO}", *(f"clr r{register}" for register in _SUM[:3]))
    unroll = next((u for u in (8, 7, 6, 5, 4, 3, 2) if n_inputs % u == 0), 1)
    body = Code()
    for _ in range(unroll):
        body.op(f"ld r{_X}, X+")
        if shifted:
            # x + 128 is 0 for -128 alone: CPI sets the carry, which makes it 1.
            body.op(f"subi r{_X}, 128", f"cpi r{_X}, 1", f"adc r{_X}, r{_ZERO}")
        elif first:
            clamp(body, _X, x_low)
        if first:
            body.op(f"st Y+, r{_X}")
        if offset is not None:
            if x_low < 0 and not shifted:
                body.op(f"subi r{_X}, 128")
            body.op(f"add r{_SUM[0]}, r{_X}", f"adc r{_SUM[1]}, r{_ZERO}")
            if n_inputs > 257:
                body.op(f"adc r{_SUM[2]}, r{_ZERO}")
    end: tuple[str, ...] = (f"cpi r{pointer}, lo8({buffer} + {n_inputs})",)
    if n_inputs > 256:
        code.op(f"ldi r22, hi8({buffer} + {n_inputs})")
        end = (*end, f"cpc r{pointer + 1}, r22")
    code.loop(body, n_inputs // unroll, end)
    if offset is not None:
        store_offset(code, offset)
    return code


def store_offset(code: Code, offset: str) -> None:
    """-128 * sum: a byte to the left, a bit to the right, and negated."""
    low, high = _SUM[3], _SUM[:3]
    code.op(f"clr r{low}", *(f"lsr r{r}" if r == high[2] else f"ror r{r}" for r in high[::-1]))
    code.op(f"ror r{low}")
    for byte, register in enumerate((low, *high)):
        code.op(f"ldi r{_X}, 0", f"{'sbc' if byte else 'sub'} r{_X}, r{register}")
        code.op(f"sts {offset} + {byte}, r{_X}")


def tile_start(code: Code, x: tuple[int, ...], start: tuple[int, int]) -> None:
    """START - sum of xa * xb of a tile, modulo 2^16."""
    code.load_constant(start, START)
    for a, b in zip(x[::2], x[1::2], strict=True):
        code.op(f"mul r{a}, r{b}", f"sub r{start[0]}, r0", f"sbc r{start[1]}, r1")


def tiled(n_inputs: int, buffer: str, products: str, offset: str | None, *, first: bool) -> Code:
    """What `inputs` does for inputs in [0, 127], and the `tile_start` of each tile.

    Args:
        n_inputs, buffer, offset, first: as of `inputs`; in the first layer the inputs go to
            `products`, and to the buffer too if they are to be summed.
        products: address of the tiles' starts, in the first layer each behind its inputs.
    """
    x, start, sums, zero, last = tuple(range(16, 24)), (24, 25), (2, 3, 4), 5, 6
    code = Code()
    copied = first and offset is not None
    whole, rest = divmod(n_inputs, TILE)
    # The end is where the tiles' starts end; they are never at the same address modulo 256
    # twice, but for more than 256 bytes the upper byte counts too.
    size = (TILE + 2 if first else 2) * whole
    code.load_address(30, products)
    if first and copied:
        code.load_address(28, buffer)
    elif not first:
        code.load_address(26, buffer)
    if size > 256:
        code.op(f"ldi r16, hi8({products} + {size})", f"mov r{last}, r16")
    if offset is not None:
        code.op(*(f"clr r{register}" for register in (*sums, zero)))

    def tile(columns: int) -> Code:
        body = Code()
        for register in x[:columns]:
            body.op(f"ld r{register}, X+")
            if first:
                clamp(body, register, 0)
                body.op(f"st Z+, r{register}")
            if copied:
                body.op(f"st Y+, r{register}")
            if offset is not None:
                body.op(f"add r{sums[0]}, r{register}", f"adc r{sums[1]}, r{zero}")
                if 127 * n_inputs > 65535:
                    body.op(f"adc r{sums[2]}, r{zero}")
        if columns % 2:
            body.op(f"clr r{x[columns]}")
        tile_start(body, x[: columns + columns % 2], start)
        body.op(f"st Z+, r{start[0]}", f"st Z+, r{start[1]}")
        return body

    if whole == 1:
        code.extend(tile(TILE))
    elif whole:
        end: tuple[str, ...] = (f"cpi r30, lo8({products} + {size})",)
        if size > 256:
            end = (*end, f"cpc r31, r{last}")
        code.loop(tile(TILE), whole, end)
    if rest:
        code.extend(tile(rest))
    if offset is not None:
        code.move(_SUM[:3], sums)
        store_offset(code, offset)
    return code
