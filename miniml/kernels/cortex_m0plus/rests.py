"""What a row adds on its own, so that the rest of it fits a method's precondition.

A weight w = w' + d: w' takes part in the method, d * x is a product of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from miniml.kernels.cortex_m0plus.emit import Code

# No product on its own takes more bytes; about this many cycles.
REST_BYTES, REST_CYCLES = 28, 7
_REACH = 32  # bytes that LDRB reaches


@dataclass(frozen=True)
class Rest:
    """weight * x[column]."""

    column: int
    weight: int


def add_rests(code: Code, rests: Sequence[Rest], inputs: int, total: str, scratch: str) -> None:
    """Adds products with the inputs as they are kept, with their offset. R4, R5 are lost.

    Args:
        code: gets the instructions.
        rests: of one row, each weight within a byte.
        inputs: offset of the inputs from SP.
        total: register that they are added to.
        scratch: a low register that may be lost.
    """
    base: int | None = None
    for rest in sorted(rests, key=lambda rest: rest.column):
        at = inputs + rest.column
        if base is None or at - base >= _REACH:
            base = at & ~3
            code.sp_address("r5", base)
        code.op(f"ldrb r4, [r5, #{at - base}]", f"column {rest.column} on its own")
        code.op(f"movs {scratch}, #{abs(rest.weight)}")
        code.op(f"muls r4, {scratch}, r4")
        if total == "r3":
            code.op(f"{'adds' if rest.weight > 0 else 'subs'} r3, r3, r4")
        else:
            if rest.weight < 0:
                code.op("rsbs r4, r4, #0")
            code.op(f"add {total}, r4")
