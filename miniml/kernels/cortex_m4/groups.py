"""Groups of rows that share weight words, and how their accumulators come apart.

chain of L (4 to 6): halfwords 256*w_i + w_(i+1) for i = 1 ... L-1 give S_i = 256*Z_i + Z_(i+1)
    modulo 2^32, Z_i being row i's accumulator. S_(L-1) - 256*S_(L-2) + 65536*S_(L-3) = Z_L
    modulo 2^24; then 256*Z_i = S_i - Z_(i+1) upwards. L-1 words for L rows.
    Needs |Z| < 2^23 for each row.
pair: bytes of both rows, 256*w_1 + w_2; SXTB16 takes w_2 alone, so that S - Z_2 = 256*Z_1.
    One word for two rows. Needs |Z_1|, |Z_2| < 2^23.
single: halfwords of one row. Any row.

Weights are at most 127 in magnitude, so 256*w_1 + w_2 fits a halfword.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from miniml.kernels.cortex_m4.assembly import Assembly
from miniml.kernels.cortex_m4.columns import Word

WIDE_LIMIT = 1 << 23
ACCUMULATORS = ("r8", "r9", "r10", "r11", "r12", "lr", "r5", "r4")
Words = NDArray[np.uint32]


@dataclass(frozen=True)
class Group:
    """Consecutive rows of a pass. `kind` is "chain", "pair" or "single"."""

    kind: str
    rows: int

    @property
    def method(self) -> str:
        """For the plan."""
        return f"chain of {self.rows}" if self.kind == "chain" else self.kind

    @property
    def accumulators(self) -> int:
        """Registers while columns are summed."""
        return self.rows - 1 if self.kind == "chain" else self.rows


def chain(rows: int) -> Group:
    """A chain of at least four rows."""
    return Group("chain", rows)


PAIR = Group("pair", 2)
SINGLE = Group("single", 1)


def words_of(groups: Sequence[Group]) -> tuple[list[Word], list[tuple[str, ...]]]:
    """Weight words a step, and each group's accumulators."""
    registers = list(ACCUMULATORS)
    words: list[Word] = []
    sums: list[tuple[str, ...]] = []
    for group in groups:
        own = tuple(registers.pop(0) for _ in range(group.accumulators))
        sums.append(own)
        words += [Word(own)] if group.kind == "pair" else [Word((one,)) for one in own]
    return words, sums


def pack(groups: Sequence[Group], weights: NDArray[np.int64]) -> Words:
    """Weight words, (words a step, steps), of a pass.

    Args:
        groups: of the pass.
        weights: (rows of the pass, columns in the order of the input's lanes, an even number).
    """
    halfwords = []
    row = 0
    for group in groups:
        own = weights[row : row + group.rows]
        row += group.rows
        halfwords.append(own if group.kind == "single" else 256 * own[:-1] + own[1:])
    lanes = np.concatenate(halfwords).astype(np.int16).view(np.uint16).astype(np.uint32)
    return np.asarray(lanes[:, 0::2] | lanes[:, 1::2] << 16, np.uint32)


def start_values(
    groups: Sequence[Group], bias: Sequence[int], fractions: Sequence[int]
) -> list[int]:
    """What the accumulators start with, modulo 2^32.

    Args:
        groups: of the pass.
        bias: of its rows; the inputs' offset is folded in.
        fractions: of its rows, 0 to 255: 256*Z + fraction is what a chain gives.
    """
    values: list[int] = []
    row = 0
    for group in groups:
        b, f = bias[row : row + group.rows], fractions[row : row + group.rows]
        row += group.rows
        if group.kind == "single":
            values.append(b[0])
        elif group.kind == "pair":
            values += [256 * b[0] + b[1], b[1]]
        else:
            values += [256 * b[i] + b[i + 1] + f[i] for i in range(group.rows - 1)]
    return [value & 0xFFFFFFFF for value in values]


def last_fraction(f: Sequence[int]) -> int:
    """What is added to a chain's last row so that it becomes 256*Z + its fraction."""
    return (f[-1] - ((f[-2] - 256 * f[-3] + 65536 * f[-4]) << 8)) & 0xFFFFFFFF


def separate(
    code: Assembly,
    group: Group,
    sums: Sequence[str],
    spare: str | None,
    *,
    fraction: str | None,
    whole: bool,
) -> list[str]:
    """Registers of a group's rows: 256*Z, or Z itself where `whole`.

    Args:
        code: to add to.
        group: of rows.
        sums: its accumulators.
        spare: a free register, for a chain.
        fraction: a register with the chain's `last_fraction`; None: there are no fractions.
        whole: Z, not 256*Z.
    """
    if group.kind == "single":
        if not whole:
            code.op(f"lsl.w {sums[0]}, {sums[0]}, #8")
        return [sums[0]]
    if group.kind == "pair":
        first, second = sums
        code.op(f"sub.w {first}, {first}, {second}")
        if whole:
            code.op(f"asr.w {first}, {first}, #8")
        else:
            code.op(f"lsl.w {second}, {second}, #8")
        return [first, second]
    assert spare is not None
    code.op(f"sub.w {spare}, {sums[-2]}, {sums[-3]}, lsl #8")
    code.op(f"sub.w {spare}, {sums[-1]}, {spare}, lsl #8")
    if whole:
        code.op(f"sbfx {spare}, {spare}, #0, #24")
    elif fraction is None:
        code.op(f"lsl.w {spare}, {spare}, #8")
    else:
        code.op(f"add.w {spare}, {fraction}, {spare}, lsl #8")
    rows = [spare]
    for one in reversed(sums):
        if whole:
            code.op(f"sub.w {one}, {one}, {rows[0]}")
            code.op(f"asr.w {one}, {one}, #8")
        else:
            code.op(f"sub.w {one}, {one}, {rows[0]}, asr #8")
        rows.insert(0, one)
    return rows
