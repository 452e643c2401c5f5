"""The inner part: for each pair of columns, one SMLAD a weight word.

A weight word holds two halfwords, one a column, and so does an input word. Loads are gathered into
runs as long as the registers last, since each run costs one cycle on top. Weights are read through
r7 in the order of use: windows of 16 words, whose last-used word lies first, so that it can be
loaded with the address advancing (post-indexed) and all others with 16-bit instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from miniml.kernels.cortex_m4.assembly import Assembly, by_number

STREAM = "r7"
INPUT = "r6"
# At most 32 (124 is the largest offset of 16-bit loads). 16 words are four to five of the eight
# data lines of the STM32F4's ART, so the word at the window's start is still there at its end.
WINDOW = 16
LOOP_STEPS = {"loop": 16, "short loop": 4}


@dataclass(frozen=True)
class Word:
    """One weight word a pair of columns.

    Attributes:
        accumulators: (sum,); or (sum of both bytes, sum of the low bytes alone).
    """

    accumulators: tuple[str, ...]


@dataclass(frozen=True)
class InputWord:
    """Where a pair of columns' inputs are; `advance` moves the base behind the load."""

    base: str
    offset: int
    advance: int | None = None


# (step, word) of each word of the stream, in memory order.
Order = list[tuple[int, int]]


def straight_columns(
    code: Assembly, words: Sequence[Word], inputs: Sequence[InputWord], free: Sequence[str]
) -> Order:
    """All steps, one after the other; returns the weights' order in memory."""
    pool = list(free)
    items = [(step, k) for step in range(len(inputs)) for k in range(-1, len(words))]
    total = len(inputs) * len(words)
    input_registers: dict[int, str] = {}
    used = at = 0
    order: Order = []
    while at < len(items):
        run: list[tuple[int, int, str]] = []
        while at < len(items) and pool:
            step, k = items[at]
            run.append((step, k, pool.pop(0)))
            at += 1
        for step, k, register in run:
            if k < 0:
                where = inputs[step]
                code.load(register, where.base, where.offset, where.advance)
                input_registers[step] = register
                continue
            within, size = used % WINDOW, min(WINDOW, total - used // WINDOW * WINDOW)
            if within == size - 1:
                code.load(register, STREAM, advance=4 * size)
                order.insert(used - within, (step, k))
            else:
                code.load(register, STREAM, 4 * (within + 1))
                order.append((step, k))
            used += 1
        for step, k, register in run:
            if k < 0:
                continue
            _accumulate(code, words[k], register, input_registers[step])
            pool.append(register)
            if k == len(words) - 1:
                pool.append(input_registers.pop(step))
            pool.sort(key=by_number)
    return order


def _accumulate(code: Assembly, word: Word, weights: str, inputs: str) -> None:
    first = word.accumulators[0]
    code.op(f"smlad {first}, {weights}, {inputs}, {first}")
    for second in word.accumulators[1:]:
        code.op(f"sxtb16 {weights}, {weights}")
        code.op(f"smlad {second}, {weights}, {inputs}, {second}")


def looped_columns(
    code: Assembly,
    words: Sequence[Word],
    frame_offset: int,
    steps: int,
    unrolled: int,
    free: Sequence[str],
    label: str,
) -> Order:
    """A loop of `unrolled` steps, then the rest; inputs are read through r6."""
    times, rest = divmod(steps, unrolled)
    code.frame_address(INPUT, frame_offset)
    order: Order = []
    if times:
        # The word at offset 0 comes last: its load advances the base.
        turns = [*range(1, unrolled), 0]
        inputs = [InputWord(INPUT, 4 * turn) for turn in turns[:-1]]
        inputs.append(InputWord(INPUT, 0, 4 * unrolled))
        with code.loop(label, times):
            once = straight_columns(code, words, inputs, free)
            code.frame_address(free[0], frame_offset + 4 * unrolled * times)
            code.op(f"cmp.n {INPUT}, {free[0]}", 2)
        order = [(turn * unrolled + turns[step], k) for turn in range(times) for step, k in once]
    if rest:
        inputs = [InputWord(INPUT, 4 * step) for step in range(rest)]
        done = times * unrolled
        last = straight_columns(code, words, inputs, free)
        order += [(done + step, k) for step, k in last]
    return order
