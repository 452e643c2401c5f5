"""What happens to a layer's inputs before its rows: clamped where they enter, and summed."""

from __future__ import annotations

from miniml.kernels.avr.code import Code

_SUM = (18, 19, 20, 21)
_X, _ZERO = 16, 17


def clamp(code: Code, register: int, x_low: int) -> None:
    """At least x_low, for any int8; the same cycles either way."""
    if x_low == 0:
        code.op(f"sbrc r{register}, 7", f"clr r{register}")
    else:
        code.op(f"cpi r{register}, 128", "brne .+2", f"inc r{register}")


def inputs(n_inputs: int, x_low: int, buffer: str, offset: str | None, *, first: bool) -> Code:
    """Copy X's bytes to the buffer, clamped (`first`), or take them from there; sum if asked.

    Args:
        n_inputs: how many.
        x_low: the lowest; -128 becomes -127.
        buffer: address.
        offset: where -128 * sum(x') goes, 32 bits, with x' as in `loop`; None: nowhere.
        first: whether these are the model's inputs.
    """
    code = Code()
    pointer = 28 if first else 26
    code.load_address(pointer, buffer)
    if offset is not None:
        code.comment("sum of the inputs, by which the loop's weights are too large")
        code.op(f"clr r{_ZERO}", *(f"clr r{register}" for register in _SUM[:3]))
    unroll = next((u for u in (4, 5, 6, 3, 7, 2) if n_inputs % u == 0), 1)
    body = Code()
    for _ in range(unroll):
        body.op(f"ld r{_X}, X+")
        if first:
            clamp(body, _X, x_low)
            body.op(f"st Y+, r{_X}")
        if offset is not None:
            if x_low < 0:
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
        _store_offset(code, offset)
    return code


def _store_offset(code: Code, offset: str) -> None:
    """-128 * sum: a byte to the left, a bit to the right, and negated."""
    low, high = _SUM[3], _SUM[:3]
    code.op(f"clr r{low}", *(f"lsr r{r}" if r == high[2] else f"ror r{r}" for r in high[::-1]))
    code.op(f"ror r{low}")
    for byte, register in enumerate((low, *high)):
        code.op(f"ldi r{_X}, 0", f"{'sbc' if byte else 'sub'} r{_X}, r{register}")
        code.op(f"sts {offset} + {byte}, r{_X}")
