"""Code that turns one row's sum into its output byte, by `affine`, and what each path takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml.kernels.avr import product
from miniml.kernels.avr.affine import WINDOW, Affine, Window
from miniml.kernels.avr.code import TAKEN, Code
from miniml.kernels.avr.rows import Row
from miniml.kernels.program import Int64Array

_INVERSE = {"brmi": "brpl", "brsh": "brlo", "brlo": "brsh", "brne": "breq"}


@dataclass(frozen=True)
class Paths:
    """Cycles by accumulator: `cycles[i]` from `starts[i]` on, up to the next start."""

    starts: tuple[int, ...]
    cycles: tuple[int, ...]

    def of(self, accumulators: Int64Array) -> Int64Array:
        """Cycles of each accumulator."""
        position = np.searchsorted(np.array(self.starts), accumulators, side="right") - 1
        return np.asarray(np.array(self.cycles, np.int64)[position])

    def worst(self, row: Row) -> int:
        """Most cycles of a path that the row can take."""
        ends = [*self.starts[1:], row.high + 1]
        spans = zip(self.starts, ends, self.cycles, strict=True)
        return max(c for start, end, c in spans if start <= row.high and end > row.low)


@dataclass(frozen=True)
class Target:
    """Where an output goes: its address, and the table that comes before, or None."""

    out: str
    table: str | None


@dataclass(frozen=True, eq=False)
class Shared:
    """Multiplications that rows share: subroutines by label, and what labels begin with."""

    prefix: str
    routines: dict[str, Code]


def store(code: Code, result: int, target: Target) -> None:
    """Look up, if there is a table, and store."""
    if target.table is not None:
        code.op(f"mov r30, r{result}", "clr r31", f"sbrc r{result}, 7", "com r31")
        code.op(f"subi r30, lo8(-({target.table} + 128))")
        code.op(f"sbci r31, hi8(-({target.table} + 128))", f"lpm r{result}, Z")
    code.op(f"sts {target.out}, r{result}")


def constant(code: Code, row: Row, target: Target, work: tuple[int, ...]) -> Paths:
    """A row whose output is the same for every accumulator that it can have."""
    before = code.cycles
    code.op(f"ldi r{work[0]}, {row.reach[0] & 255}")
    store(code, work[0], target)
    return Paths((row.low,), (code.cycles - before,))


def place(sums: tuple[int, ...], free: list[int]) -> tuple[tuple[int, ...], list[int]]:
    """Upper registers for a sum of three bytes, and those that remain of `free`."""
    if min(sums) >= 16:
        return sums, free
    pairs = [r for r in free if r % 2 == 0 and r + 1 in free and r < 30]
    low, high = (pairs[0], pairs[0] + 1) if pairs else (free[0], free[1])
    rest = [r for r in free if r not in (low, high)]
    if sums[1] % 2 == 0 and sums[2] == sums[1] + 1:
        return (rest[0], low, high), rest[1:]
    return (low, high, rest[0]), rest[1:]


def emit(
    code: Code,
    row: Row,
    affine: Affine,
    delta: int,
    sums: tuple[int, ...],
    free: list[int],
    target: Target,
    shared: Shared | None = None,
) -> Paths:
    """The row's sum (accumulator = sum + delta) from three registers to its address.

    Args:
        code: grows.
        row, affine: what `search` found for it.
        delta: modulo 2^24.
        sums: registers of the sum, low to high; they are lost.
        free: upper registers that may be lost: six besides `sums` (seven if `affine` isn't
            narrow), and three more unless `sums` are upper registers.
        target: where the byte goes.
        shared: where multiplications are shared; None: each row has its own.
    """
    if product.needed(affine) - {*free, *(sums if sums == product.SUM else ())}:
        shared = None
    if shared is not None:
        affine = product.to_share(affine)
    writer = _Writer(code, row, affine, sums, free, shared)
    return writer.write(delta, target)


class _Writer:
    """One row: a window by the third byte, all join at label 1 for the product; 2 is the end."""

    def __init__(
        self,
        code: Code,
        row: Row,
        affine: Affine,
        sums: tuple[int, ...],
        free: list[int],
        shared: Shared | None,
    ) -> None:
        self.code, self.row, self.affine, self.sums = code, row, affine, sums
        self.shared = shared
        self.m: tuple[int, ...]
        if shared is not None:
            self.a: tuple[int, ...] = product.SUM
            self.p, self.m = product.registers(affine), product.MULTIPLIER
        else:
            self.a, rest = place(sums, free)
            self.p = dict(zip(range(affine.bottom, affine.top + 1), rest, strict=False))
            # One register for the multiplier's bytes where there are no two.
            rest = rest[len(self.p) :]
            self.zero = rest.pop() if affine.wide else self.a[2]
            self.m = tuple((rest[:2] * 2)[:2])
        self.result = self.p[product.result_byte(affine)]
        self.lowest, self.highest = row.reach
        self.paths: list[tuple[int, int]] = []  # start of an accumulator's interval, cycles
        self.open: list[tuple[int, int]] = []  # the same, up to the product

    def write(self, delta: int, target: Target) -> Paths:
        """All of it."""
        code, affine = self.code, self.affine
        start = code.cycles
        if self.a != self.sums:
            code.move(self.a, self.sums)
        code.add_constant(self.a, delta - affine.base)
        spent = code.cycles - start
        if affine.negative:
            code.op("brmi 3f")
            self._up(spent + 1, both=True)
            code.label("3")
            self._down(spent + 1 + TAKEN)
        else:
            self._up(spent, both=False)
        code.label("1")
        before = code.cycles
        self._multiply()
        multiplied = code.cycles - before
        code.label("2")
        before = code.cycles
        store(code, self.result, target)
        tail = code.cycles - before
        found = [(at, spent + multiplied + tail) for at, spent in self.open]
        found += [(at, spent + tail) for at, spent in self.paths]
        found.sort()
        # The code's own count serves sizes only; a run is counted by its paths.
        return Paths(tuple(at for at, _ in found), tuple(cycles for _, cycles in found))

    def _load(self, window: Window) -> int:
        count = len(self.p)
        low = self.affine.bottom
        self.code.load_constant(tuple(self.p.values()), window.constant >> 8 * low)
        return count

    def _compare(self, threshold: int) -> int:
        """24 bits with a constant; returns the cycles."""
        middle, high = threshold >> 8 & 255, threshold >> 16 & 255
        scratch = self.m[0]
        self.code.op(f"ldi r{scratch}, {middle}", f"cpi r{self.a[0]}, {threshold & 255}")
        self.code.op(f"cpc r{self.a[1]}, r{scratch}", f"ldi r{scratch}, {high}")
        self.code.op(f"cpc r{self.a[2]}, r{scratch}")
        return 5

    def _branch(self, name: str) -> tuple[int, int]:
        """A branch to the end; cycles where it isn't taken, and where it is."""
        if len(self.affine.positive) + len(self.affine.negative) <= 2:
            self.code.op(f"{name} 2f")
            return 1, 1 + TAKEN
        self.code.op(f"{_INVERSE[name]} .+2", "rjmp 2f")
        return 1 + TAKEN, 3

    def _leave(self, name: str, output: int, start: int, spent: int) -> int:
        """Go to the end with a known output; accumulators from `start` on do. Cycles if not."""
        self.code.op(f"ldi r{self.result}, {output & 255}")  # keeps the flags
        stays, leaves = self._branch(name)
        self.paths.append((start, spent + 1 + leaves))
        return spent + 1 + stays

    def _up(self, spent: int, both: bool) -> None:
        """From the base upwards, one window after the other; the flags are those of the sum."""
        code, row, base = self.code, self.row, self.affine.base
        windows = self.affine.positive
        if both:
            last = int(row.thresholds[row.thresholds <= row.high].max())
            spent = self._leave("brsh", self.highest, last, spent + self._compare(last))
        else:
            spent = self._leave("brmi", self.lowest, row.low, spent)
        beyond = self.affine.beyond
        if not both and row.high >= beyond:
            code.op(f"cpi r{self.a[2]}, {windows[-1].third + 1}")
            spent = self._leave("brsh", self.highest, beyond, spent + 1)
        starts = [base + number * WINDOW for number in range(len(windows))]
        self._pick(list(zip(starts, windows, strict=True)), spent, 4, last=not both)

    def _pick(
        self, windows: list[tuple[int, Window]], spent: int, label: int, *, last: bool
    ) -> None:
        """Load a window's constant by the third byte, halving; `last`: the product follows."""
        code, third = self.code, self.a[2]
        start, window = windows[0]
        if len(windows) > 2:
            middle = len(windows) // 2
            code.op(f"cpi r{third}, {windows[middle][1].third}", f"brsh {label}f")
            self._pick(windows[:middle], spent + 2, label + 1, last=False)
            code.label(str(label))
            self._pick(windows[middle:], spent + 1 + 1 + TAKEN, label + 1, last=last)
            return
        spent += self._load(window)
        if len(windows) == 2:
            code.op(f"cpi r{third}, {windows[1][1].third}", "brlo 1f")
            self.open.append((start, spent + 1 + 1 + TAKEN))
            start, window = windows[1]
            spent += 2 + self._load(window)
        self.open.append((start, spent + (0 if last else 2)))
        if not last:
            code.op("rjmp 1f")

    def _down(self, spent: int) -> None:
        """From -1 downwards, one window after the other."""
        code, row, windows = self.code, self.row, self.affine.negative
        first = int(row.thresholds[row.thresholds > row.low].min())
        spent = self._leave("brlo", self.lowest, row.low, spent + self._compare(first))
        for number, window in enumerate(windows):
            spent += self._load(window)
            if number == len(windows) - 1:
                self.open.append((first, spent))
            else:
                code.op(f"cpi r{self.a[2]}, {window.third & 255}", "brsh 1f")
                self.open.append((window.third * WINDOW, spent + 1 + 1 + TAKEN))
                spent += 2

    def _multiply(self) -> None:
        """The product, and the cut to the highest output."""
        code, affine, shared = self.code, self.affine, self.shared
        if shared is None:
            product.write(code, affine, self.a, self.p, self.m, self.zero, loaded=False)
            self._fix()
            return
        fix = affine.fix and self.highest == 127
        label = f"{shared.prefix}_{product.key(affine, fix=fix)}"
        if label not in shared.routines:
            shared.routines[label] = product.routine(label, affine, fix=fix)
        code.load_constant(self.m, affine.multiplier)
        code.op(f"call {label}")
        code.cycles += shared.routines[label].cycles
        if not fix:
            self._fix()

    def _fix(self) -> None:
        """Cut what a window gives beyond the last threshold; both ways take two or three cycles."""
        code = self.code
        if not self.affine.fix:
            return
        if self.highest == 127:
            code.op(f"sbrc r{self.result}, 7", f"ldi r{self.result}, 127")
        else:
            code.op(f"cpi r{self.result}, {self.highest + 1}", "brlo .+2")
            code.op(f"ldi r{self.result}, {self.highest}")
