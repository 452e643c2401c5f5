"""Bytes that a board gave against the reference's: what differs, and whether it does so again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from miniml.hil.proof.device_rows import Values, differing


@dataclass(frozen=True)
class Difference:
    """The first byte that differs; `layer` 0 is the quantized input, 1 the first layer."""

    suite: str
    row: int
    layer: int
    index: int
    expected: float
    found: float

    def __str__(self) -> str:
        """One phrase for messages."""
        where = f"layer {self.layer}" if self.layer else "the quantized input"
        return (
            f"{self.suite} row {self.row}, {where}, value {self.index}: "
            f"expected {self.expected}, the board says {self.found}"
        )


@dataclass(frozen=True, eq=False)
class RanRow:
    """A row of a suite, as it ran.

    Attributes:
        suite: the suite's name.
        row: its number there, from 0.
        first_layer: number of the first of `expected` and `found`; 0 in the suite "float", whose
            only one is the quantized input.
        inputs: (n_inputs,) int8, or float32 as the device was given them.
        expected, found: one array a layer.
    """

    suite: str
    row: int
    first_layer: int
    inputs: Values
    expected: tuple[Values, ...]
    found: tuple[Values, ...]


@dataclass
class Comparison:
    """What one suite of inputs gave.

    Attributes:
        suite: "test", "random", "float", or "again" for rows of a repeat or a soak.
        rows: how many ran.
        bytes_compared, mismatches: all layers (suite "float": input bytes); of a row that is run
            again, the bytes of its second run count.
        output_mismatches: of them, bytes of the last layer.
        first: the first difference.
        wrong: the row of `first`, whole; it differed twice.
        flaky: rows that differed, and were right when they were run again.
        first_flaky: the first difference of such a row.
        outputs: one a row, (n_outputs,), int8 or float32, as the board gave them.
    """

    suite: str
    rows: int = 0
    bytes_compared: int = 0
    mismatches: int = 0
    output_mismatches: int = 0
    first: Difference | None = None
    wrong: RanRow | None = None
    flaky: int = 0
    first_flaky: Difference | None = None
    outputs: list[Values] = field(default_factory=list)

    def compare(self, row: int, layer: int, expected: Values, found: Values) -> int:
        """Counts differing bytes, those of a value together; returns how many."""
        count = differing_bytes(expected, found)
        self.bytes_compared += expected.nbytes
        self.mismatches += count
        if count and self.first is None:
            self.first = difference(self.suite, row, layer, expected, found)
        return count

    def take(self, row: RanRow) -> None:
        """Counts a row: of one that differed, its second run."""
        count = 0
        for layer, (expected, found) in enumerate(
            zip(row.expected, row.found, strict=True), row.first_layer
        ):
            count = self.compare(row.row, layer, expected, found)
            if count and self.wrong is None:
                self.wrong = row
        if row.first_layer:
            self.output_mismatches += count
        self.rows += 1

    def take_flaky(self, row: RanRow) -> None:
        """Notes a row whose first run differed; its second, which did not, is taken apart."""
        self.flaky += 1
        if self.first_flaky is None:
            self.first_flaky = first_difference(row)


def differing_bytes(expected: Values, found: Values) -> int:
    """How many bytes belong to values that differ."""
    return int(differing(expected, found).size) * expected.itemsize


def all_equal(expected: Sequence[Values], found: Sequence[Values]) -> bool:
    """Whether no layer differs."""
    return not any(differing_bytes(*pair) for pair in zip(expected, found, strict=True))


def difference(suite: str, row: int, layer: int, expected: Values, found: Values) -> Difference:
    """The first value of a layer that differs; one does."""
    index = int(differing(expected, found)[0])
    return Difference(suite, row, layer, index, expected[index].item(), found[index].item())


def first_difference(row: RanRow) -> Difference:
    """The first value of the first layer that differs; one does.

    Raises:
        ValueError: none does.
    """
    for layer, (expected, found) in enumerate(
        zip(row.expected, row.found, strict=True), row.first_layer
    ):
        if differing_bytes(expected, found):
            return difference(row.suite, row.row, layer, expected, found)
    raise ValueError("no value of this row differs")
