"""Makes a board compute, and compares every byte with the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from miniml import reference
from miniml.cost.paths import Int64Array
from miniml.float_net import DeviceModel
from miniml.hil.link.row_stream import run_rows
from miniml.hil.link.session import Session
from miniml.hil.proof.comparison import Comparison, RanRow, all_equal
from miniml.hil.proof.device_rows import Values, expected_layers
from miniml.model import Float32Array, QuantizedModel

NOT_MEASURED = 0xFFFF_FFFF
# Rows that are also timed with interrupts as they are: shown beside the masked figure.
UNMASKED_ROWS = 16


@dataclass
class Cycles:
    """Cycles of whole inferences; masked: interrupts off, as judged.

    Attributes:
        cold: of the first run after the start; None: not measured.
        masked: one a row.
        unmasked: of the first rows, interrupts as they are.
        flaky: masked figures that were off, and right when they were measured again.
    """

    cold: int | None = None
    masked: list[int] = field(default_factory=list)
    unmasked: list[int] = field(default_factory=list)
    flaky: int = 0


Progress = Callable[[str, int, int], None]


class Exercise:
    """One model on one board, through an identified session."""

    def __init__(
        self, session: Session, model: DeviceModel, timeout_s: float, progress: Progress
    ) -> None:
        """`timeout_s` is how long one run of the network may take."""
        self._session = session
        self._model = model
        self._timeout_s = timeout_s
        self._progress = progress

    def run_rows(self, suite: str, inputs: Values, cycles: Cycles | None = None) -> Comparison:
        """Runs rows (n, n_inputs), compares every layer, and times each if asked."""
        result = Comparison(suite)
        expected = expected_layers(self._model, inputs)
        for row, values in enumerate(inputs):
            self._progress(suite, row, len(inputs))
            if cycles is not None and row == 0:
                self._load(values)
                cycles.cold = self.time(masked=True)
            wanted = tuple(layer[row] for layer in expected)
            result.outputs.append(self.check_row(result, row, values, wanted).found[-1])
            if cycles is not None:
                self._measure(cycles, row)
        self._progress(suite, len(inputs), len(inputs))
        return result

    def quantize_rows(self, model: QuantizedModel, features: Float32Array) -> Comparison:
        """Lets the device quantize float rows (n, n_inputs), and reads its input buffer."""
        result = Comparison("float")
        expected = reference.quantize_inputs(model, features)
        for row, values in enumerate(features):
            self._progress("float", row, len(features))
            again = partial(self._quantized, row, values, expected[row])
            _settle(result, again(), again)
        self._progress("float", len(features), len(features))
        return result

    def check_row(
        self, result: Comparison, row: int, inputs: Values, expected: Sequence[Values]
    ) -> RanRow:
        """Runs one row, compares every layer, and does so again if one differs."""
        again = partial(self._ran, result.suite, row, inputs, tuple(expected))
        return _settle(result, again(), again)

    def check_output(
        self, result: Comparison, row: int, inputs: Values, expected: Sequence[Values]
    ) -> RanRow:
        """Runs one row, compares its last layer, and all of a second run if that differs."""
        again = partial(self._ran, result.suite, row, inputs, tuple(expected))
        last, wanted = len(expected), expected[-1]
        content = inputs.astype(inputs.dtype.newbyteorder("<")).tobytes()
        (output,) = run_rows(self._session, [content], last, wanted.nbytes, self._timeout_s)
        found = np.frombuffer(output, wanted.dtype.newbyteorder("<"))
        ran = RanRow(result.suite, row, last, inputs, (wanted,), (found,))
        return _settle(result, ran, again)

    def measure_again(
        self, inputs: Values, cycles: Cycles, foretold: Int64Array, limit: float
    ) -> None:
        """Measures rows whose masked cycles are off by more than `limit` a second time.

        A figure that is right then was flaky; it takes the first one's place.
        """
        if len(cycles.masked) != len(foretold):
            return
        for row, wanted in enumerate(foretold.tolist()):
            if abs(cycles.masked[row] - wanted) <= limit * wanted:
                continue
            self._load(inputs[row])
            again = self.time(masked=True)
            if again is not None and abs(again - wanted) <= limit * wanted:
                cycles.masked[row] = again
                cycles.flaky += 1

    def again(self, ran: RanRow) -> RanRow:
        """Runs a row that ran elsewhere; nothing is counted."""
        if ran.first_layer == 0:
            return self._quantized(ran.row, ran.inputs, ran.expected[0])
        return self._ran(ran.suite, ran.row, ran.inputs, ran.expected)

    def time(self, *, masked: bool) -> int | None:
        """Cycles of one inference of the row that was loaded last; None: not measured."""
        # An AVR runs the network twice for one figure (docs/PROTOCOL.md).
        count = self._session.time(masked=masked, timeout_s=2 * self._timeout_s)
        return None if count == NOT_MEASURED else count

    def _ran(self, suite: str, row: int, inputs: Values, expected: tuple[Values, ...]) -> RanRow:
        self._load(inputs)
        found = tuple(self._layer(layer, wanted) for layer, wanted in enumerate(expected, 1))
        return RanRow(suite, row, 1, inputs, expected, found)

    def _layer(self, layer: int, expected: Values) -> Values:
        content = self._session.run(layer, expected.nbytes, self._timeout_s)
        # Every supported core is little-endian.
        return np.frombuffer(content, expected.dtype.newbyteorder("<"))

    def _quantized(self, row: int, features: Values, expected: Values) -> RanRow:
        self._load(features)
        found = np.frombuffer(self._session.read(0, 0, len(expected)), np.int8)
        return RanRow("float", row, 0, features, (expected,), (found,))

    def _load(self, values: Values) -> None:
        if values.dtype == np.int8:
            self._session.load(values.tobytes())
        else:
            self._session.load_floats(values.astype("<f4").tobytes())

    def _measure(self, cycles: Cycles, row: int) -> None:
        masked = self.time(masked=True)
        if masked is not None:
            cycles.masked.append(masked)
        if row < UNMASKED_ROWS and (unmasked := self.time(masked=False)) is not None:
            cycles.unmasked.append(unmasked)


def _settle(result: Comparison, first: RanRow, again: Callable[[], RanRow]) -> RanRow:
    """A difference counts if it comes back; the row as it counts."""
    ran = first
    if not all_equal(first.expected, first.found):
        ran = again()
        if all_equal(ran.expected, ran.found):
            result.take_flaky(first)
    result.take(ran)
    return ran
