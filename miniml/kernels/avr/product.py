"""The multiplication of `affine`: in a row's own code, or as a subroutine of many rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from miniml.kernels.avr.affine import Affine
from miniml.kernels.avr.code import Code

# Registers of the subroutine.
SUM = (16, 17, 18)
PRODUCT = (19, 20, 21, 22, 23)
MULTIPLIER = (24, 26, 27)
ZERO = 25  # of a wide sum
# Bytes of sum and multiplier by rising weight, so that carries can't go far.
_ORDER = ((0, 1), (1, 0), (1, 1), (0, 2), (1, 2))
_WIDE_ORDER = ((0, 1), (1, 0), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2), (2, 2))


def needed(affine: Affine) -> frozenset[int]:
    """Registers that the subroutine changes."""
    return frozenset((*SUM, *PRODUCT, *MULTIPLIER, *((ZERO,) if affine.wide else ())))


def shifts(affine: Affine) -> tuple[int, int]:
    """Bits to the left, or to the right, that bring the output into one byte."""
    places = -affine.shift % 8
    return (places, 0) if places <= 4 else (0, 8 - places)


def result_byte(affine: Affine) -> int:
    """The byte of the product in which the output ends up."""
    return affine.top - (1 if shifts(affine)[1] else 0)


def write(
    code: Code,
    affine: Affine,
    a: tuple[int, ...],
    p: Mapping[int, int],
    m: tuple[int, ...],
    zero: int,
    *,
    loaded: bool,
) -> None:
    """Add the sum's 16 or 24 bits times the multiplier to p, the lowest products left out; shift.

    Args:
        code: grows.
        affine: the multiplication.
        a: the sum's registers.
        p: registers by byte of the product; they hold the window's constant.
        m: registers for the multiplier's bytes: all three, with them, if `loaded`; else two.
        zero: a register that is lost: the sum's third, unless `affine` is wide.
        loaded: see m.
    """
    content = [affine.multiplier >> 8 * j & 255 for j in range(3)]
    code.op(f"clr r{zero}")
    held: dict[int, int] = dict(enumerate(m)) if loaded else {}
    for i, j in _WIDE_ORDER if affine.wide else _ORDER:
        if i + j > affine.top or (content[j] == 0 and not loaded):
            continue
        if j not in held:
            taken = m[0] if j == 1 or (1 in held and content[1] == 0) else m[1]
            held = {k: r for k, r in held.items() if r != taken} | {j: taken}
            code.op(f"ldi r{taken}, {content[j]}")
        code.op(f"mul r{a[i]}, r{held[j]}")
        _add(code, affine, p, i + j, zero, every=loaded)
    top, below = p[affine.top], p[affine.top - 1]
    left, right = shifts(affine)
    for _ in range(left):
        code.op(f"lsl r{below}", f"rol r{top}")
    for _ in range(right):
        code.op(f"lsr r{top}", f"ror r{below}")


def carries(affine: Affine, k: int, *, every: bool) -> int:
    """How many bytes above k + 1 a carry of the product at byte k can reach; `every`: any c."""
    count = 0
    for byte in range(k + 2, affine.top + 1):
        count += 1
        # This byte holds its constant and at most three more carries so far.
        windows = (*affine.positive, *affine.negative)
        if not every and all((window.constant >> 8 * byte & 255) < 252 for window in windows):
            break
    return count


def _add(
    code: Code, affine: Affine, p: Mapping[int, int], k: int, zero: int, *, every: bool
) -> None:
    """Add r1:r0 at byte k, and the carry as far as it can go."""
    if k >= affine.bottom:
        code.op(f"add r{p[k]}, r0")
        if k + 1 in p:
            code.op(f"adc r{p[k + 1]}, r1")
    else:
        code.op(f"add r{p[k + 1]}, r1")
    reached = range(k + 2, k + 2 + carries(affine, k, every=every))
    code.op(*(f"adc r{p[byte]}, r{zero}" for byte in reached))


def registers(affine: Affine) -> dict[int, int]:
    """The subroutine's registers by byte of the product."""
    return dict(zip(range(affine.bottom, affine.top + 1), PRODUCT, strict=False))


def routine(label: str, affine: Affine, *, fix: bool) -> Code:
    """The subroutine; `fix`: outputs above 127 become 127."""
    code = Code()
    code.label(label)
    p = registers(affine)
    write(code, affine, SUM, p, MULTIPLIER, ZERO if affine.wide else SUM[2], loaded=True)
    if fix:
        result = p[result_byte(affine)]
        code.op(f"sbrc r{result}, 7", f"ldi r{result}, 127")
    code.op("ret")
    return code


def to_share(affine: Affine) -> Affine:
    """With as many products as there are, so that few subroutines serve all: more are no harm.

    What is summed lies between a * m + c - dropped and a * m + c either way.
    """
    return replace(affine, bottom=1)


def key(affine: Affine, *, fix: bool) -> str:
    """What tells one subroutine from another: rows with the same key share one."""
    flags = f"{'w' if affine.wide else ''}{'f' if fix else ''}"
    return f"{affine.shift}_{affine.bottom}{flags}"
