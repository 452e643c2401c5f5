"""Where a layer's inputs lie while it runs, and how they get there.

On the stack, a byte each, as x + x_offset (unsigned), ended by the word at `Frame.inputs_end`:
the sums read them by SP-relative words. The first layer's are clamped on the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from miniml.kernels.cortex_m0plus.emit import Code
from miniml.model import Int8Array

Int64Array = NDArray[np.int64]

RETURN_SLOT, LAYERS_SLOT, TABLE_SLOT, OUTPUTS_SLOT = 0, 4, 8, 12
FIRST_FREE_SLOT = 16
_INLINE_WORDS = 16  # more are moved by a loop


@dataclass(frozen=True)
class Frame:
    """Bytes below the saved registers: fixed slots, scratch words, then the inputs."""

    scratch_words: int
    input_words: int

    @property
    def inputs_end(self) -> int:
        """Offset from SP of the byte behind the last input word."""
        return FIRST_FREE_SLOT + 4 * (self.scratch_words + self.input_words)

    @property
    def size(self) -> int:
        """Bytes, a multiple of 8 with the nine saved registers."""
        return self.inputs_end + (4 - self.inputs_end) % 8

    def inputs_at(self, columns: int) -> int:
        """Offset from SP of a layer's first input."""
        return self.inputs_end - 4 * ((columns + 3) // 4)


def copy_inputs(code: Code, frame: Frame, columns: int, x_offset: int, clamp: bool) -> None:
    """From R0 (aligned) to the frame. R8 is kept; R0 to R7 and R9 are lost.

    Args:
        code: gets the instructions.
        frame: where to.
        columns: of the layer.
        x_offset: 128: flip the sign bits.
        clamp: the first layer: what lies outside the input range is mended by
            `.Lclamp_inputs`, which is called only if there is any.
    """
    code.sp_address("r7", frame.inputs_at(columns))
    code.op("movs r4, #0", "gathers what must be clamped")
    if x_offset or clamp:
        code.ops("movs r6, #128", "lsls r5, r6, #8", "orrs r6, r5", "lsls r5, r6, #16")
        code.op("orrs r6, r5", "0x80808080")
        code.op("lsrs r5, r6, #7", "0x01010101")
    whole = columns // 4
    if whole > _INLINE_WORDS:
        rounds = whole // 8
        code.constant("r1", 32 * rounds)
        code.ops("adds r1, r0, r1", "mov r9, r1")
        loop = code.new_label("copy")
        code.label(loop)
        before = code.cycles
        for _ in range(4):
            _move(code, 2, x_offset, clamp)
        code.ops("cmp r0, r9", f"bne {loop}")
        code.cycles += (rounds - 1) * (code.cycles - before + 1)
        whole -= 8 * rounds
    while whole:
        count = min(whole, 2)
        _move(code, count, x_offset, clamp)
        whole -= count
    if columns % 4:
        _move_last(code, columns % 4, x_offset, clamp)
    if clamp:
        done = code.new_label("clamped")
        code.ops("tst r4, r6", f"beq {done}", "bl .Lclamp_inputs")
        code.cycles += 1 - 3  # as a rule nothing is to be clamped
        code.label(done)


def _move(code: Code, count: int, x_offset: int, clamp: bool) -> None:
    registers = [f"r{1 + i}" for i in range(count)]
    listed = "{" + ", ".join(registers) + "}"
    code.op(f"ldm r0!, {listed}")
    for register in registers:
        if x_offset:
            code.op(f"eors {register}, r6")
        if clamp:
            _gather(code, register, x_offset)
    code.op(f"stm r7!, {listed}")


def _move_last(code: Code, used: int, x_offset: int, clamp: bool) -> None:
    bits = 8 * (4 - used)
    code.op("ldr r1, [r0]", "the last word: bytes behind the inputs become 0")
    if x_offset:
        code.op("eors r1, r6")
    code.ops(f"lsls r1, r1, #{bits}", f"lsrs r1, r1, #{bits}")
    if clamp and x_offset:
        # A byte that is no input must not look like one below the range.
        code.ops(f"lsrs r2, r6, #{8 * used}", f"lsls r2, r2, #{8 * used}", "adds r2, r2, r1")
        _gather(code, "r2", x_offset)
    elif clamp:
        _gather(code, "r1", x_offset)
    code.op("stm r7!, {r1}")


def _gather(code: Code, register: str, x_offset: int) -> None:
    """Sets bits of 0x80808080 in R4 where a byte is below the range.

    Flipped bytes: a zero was -128; (y - 0x01010101) & ~y has such a bit if and only if a byte
    of y is zero. Plain bytes of [0, 127]: the sign.
    """
    if x_offset:
        code.ops(f"subs r3, {register}, r5", f"bics r3, {register}", "orrs r4, r3")
    else:
        code.op(f"orrs r4, {register}")


def input_routines(code: Code, frame: Frame, columns: int, x_offset: int) -> None:
    """The rare ways of the first layer: inputs to clamp, and an address that is not aligned."""
    at = frame.inputs_at(columns)
    _clamp_routine(code, at, columns, x_offset)
    code.note("copies inputs that are not aligned; R0 becomes their address")
    code.label(".Lcopy_inputs")
    code.ops("mov r3, r0")
    _start(code, at, columns)
    code.label(".Lcopy_next")
    code.ops("ldrb r2, [r3]", "strb r2, [r0]", "adds r3, #1", "adds r0, #1", "cmp r0, r1")
    code.op("bne .Lcopy_next")
    code.sp_address("r0", at)
    code.op("bx lr")


def _start(code: Code, at: int, columns: int) -> None:
    code.sp_address("r0", at)
    code.constant("r1", columns)
    code.op("adds r1, r0, r1")


def _clamp_routine(code: Code, at: int, columns: int, x_offset: int) -> int:
    """Writes `.Lclamp_inputs`; its cycles. R6 is 0x80808080."""
    before = code.cycles
    code.note("clamps the inputs on the stack, four at a time")
    code.label(".Lclamp_inputs")
    words = (columns + 3) // 4
    code.sp_address("r0", at)
    code.constant("r1", 4 * words)
    code.op("adds r1, r0, r1")
    if x_offset:
        code.op("mvns r4, r6", "0x7f7f7f7f")
    each = code.cycles
    code.label(".Lclamp_next")
    code.op("ldr r2, [r0]")
    if x_offset:
        code.ops("movs r3, r2", "ands r3, r4", "adds r3, r3, r4")
        code.op("orrs r3, r2", "the upper bit of each byte that is not 0")
        code.ops("movs r5, r6", "bics r5, r3", "lsrs r5, r5, #7", "adds r2, r2, r5")
    else:
        code.ops("movs r3, r2", "ands r3, r6", "lsrs r5, r3, #7", "subs r5, r3, r5")
        code.op("orrs r5, r3", "0xff for each byte below 0")
        code.op("bics r2, r5")
    code.ops("stm r0!, {r2}", "cmp r0, r1", "bne .Lclamp_next")
    code.cycles += (words - 1) * (code.cycles - each + 1)
    if columns % 4 and x_offset:
        unused = 8 * (4 - columns % 4)
        code.op("subs r0, #4", "bytes behind the inputs stay 0")
        code.ops(f"lsls r2, r2, #{unused}", f"lsrs r2, r2, #{unused}", "str r2, [r0]")
    code.op("bx lr")
    return code.cycles - before


def clamping_cycles(frame: Frame, columns: int, x_offset: int, inputs: Int8Array) -> Int64Array:
    """Cycles that `.Lclamp_inputs` adds to each input row, int64 (n,)."""
    below = (inputs == -128) if x_offset else (inputs < 0)
    routine = _clamp_routine(Code(), frame.inputs_at(columns), columns, x_offset)
    # The call takes 3, and the branch that skips it is not taken.
    return np.asarray(np.where(below.any(axis=1), routine + 3 - 1, 0), dtype=np.int64)
