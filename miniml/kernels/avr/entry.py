"""How `tall` takes in a model's inputs: once, a tile at a time, without a copy of them in SRAM.

The sum of the inputs, by which the rows' sums are too large, is known at the end only.
"""

from __future__ import annotations

from miniml.kernels.avr import prepare
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.group import Context

X = tuple(range(2, 14))
ZERO = 31
_SUM = (24, 25, 23)
_OFFSET = (2, 3, 4)  # -128 * sum, while rows are requantized
# The routine also loads constants into r16 and r17, and the address of the next input.
_LOST = (16, 17, 23, 24, 25, 26, 27)


def _next(context: Context) -> str:
    return f"{context.name}_next_input"


def begin(code: Code, context: Context) -> None:
    """X points to the inputs."""
    code.op(f"sts {_next(context)}, r26", f"sts {_next(context)} + 1, r27")
    code.op(*(f"sts {context.offset} + {byte}, r1" for byte in range(3)))


def load(code: Code, context: Context, registers: tuple[int, ...]) -> tuple[int, ...]:
    """A tile's inputs, clamped and moved to x'; returns the registers that are lost."""
    label = f"{context.prefix}_inputs_{registers[0]}_{len(registers)}"
    if label not in context.routines:
        context.routines[label] = _routine(label, context, registers)
    code.op(f"call {label}")
    code.cycles += context.routines[label].cycles
    return _LOST


def _routine(label: str, context: Context, registers: tuple[int, ...]) -> Code:
    code = Code()
    code.label(label)
    parts = _SUM[: 3 if context.rows.layer.n_inputs > 257 else 2]
    code.op(f"lds r26, {_next(context)}", f"lds r27, {_next(context)} + 1", f"clr r{ZERO}")
    code.op(*(f"lds r{r}, {context.offset} + {byte}" for byte, r in enumerate(parts)))
    signed = context.rows.x_low < 0
    if signed:
        code.op("ldi r16, 128", "ldi r17, 1")
    for register in registers:
        code.op(f"ld r{register}, X+")
        if signed:
            # x + 128 is 0 for -128 alone: CP sets the carry, which makes it 1.
            code.op(f"eor r{register}, r16", f"cp r{register}, r17", f"adc r{register}, r{ZERO}")
        else:
            prepare.clamp(code, register, 0)
        code.op(f"add r{parts[0]}, r{register}")
        code.op(*(f"adc r{part}, r{ZERO}" for part in parts[1:]))
    code.op(f"sts {_next(context)}, r26", f"sts {_next(context)} + 1, r27")
    code.op(*(f"sts {context.offset} + {byte}, r{r}" for byte, r in enumerate(parts)), "ret")
    return code


def end(code: Code, context: Context) -> None:
    """-128 * sum, where the rows find it."""
    code.op(*(f"lds r{18 + byte}, {context.offset} + {byte}" for byte in range(3)))
    prepare.store_offset(code, context.offset)


def correct(code: Code, context: Context, sums: tuple[int, ...], *, held: bool) -> None:
    """Take 128 * sum off a row's sum; `held`: the row before left it in registers."""
    if not held:
        code.op(*(f"lds r{r}, {context.offset} + {byte}" for byte, r in enumerate(_OFFSET)))
    code.op(f"add r{sums[0]}, r{_OFFSET[0]}", f"adc r{sums[1]}, r{_OFFSET[1]}")
    code.op(f"adc r{sums[2]}, r{_OFFSET[2]}")
