"""Makes a board compute, and compares every byte with the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from miniml import reference
from miniml.float_net import DeviceModel
from miniml.hil.link.session import Session
from miniml.hil.proof.device_rows import Values, differing, expected_layers
from miniml.model import Float32Array, QuantizedModel

NOT_MEASURED = 0xFFFF_FFFF
# Rows that are also timed with interrupts as they are: shown beside the masked figure.
UNMASKED_ROWS = 16


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


@dataclass
class Comparison:
    """What one suite of inputs gave.

    Attributes:
        suite: "test", "random" or "float".
        rows: how many ran.
        bytes_compared, mismatches: all layers (suite "float": input bytes).
        output_mismatches: of them, bytes of the last layer.
        first: the first difference.
        outputs: one a row, (n_outputs,), int8 or float32, as the board gave them.
    """

    suite: str
    rows: int = 0
    bytes_compared: int = 0
    mismatches: int = 0
    output_mismatches: int = 0
    first: Difference | None = None
    outputs: list[Values] = field(default_factory=list)

    def compare(self, row: int, layer: int, expected: Values, found: Values) -> int:
        """Counts differing bytes, those of a value together; returns how many."""
        differs = differing(expected, found)
        count = int(differs.size) * expected.itemsize
        self.bytes_compared += expected.nbytes
        self.mismatches += count
        if count and self.first is None:
            index = int(differs[0])
            self.first = Difference(
                self.suite, row, layer, index, expected[index].item(), found[index].item()
            )
        return count


@dataclass
class Cycles:
    """Cycles of whole inferences; masked: interrupts off, as judged.

    Attributes:
        cold: of the first run after the start; None: not measured.
        masked: one a row.
        unmasked: of the first rows, interrupts as they are.
    """

    cold: int | None = None
    masked: list[int] = field(default_factory=list)
    unmasked: list[int] = field(default_factory=list)


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
        last = len(expected)
        for row, values in enumerate(inputs):
            self._progress(suite, row, len(inputs))
            self._load(values)
            if cycles is not None and row == 0:
                cycles.cold = self._time(masked=True)
            for layer, outputs in enumerate(expected, 1):
                content = self._session.run(layer, outputs[row].nbytes, self._timeout_s)
                # Every supported core is little-endian.
                found = np.frombuffer(content, outputs.dtype.newbyteorder("<"))
                wrong = result.compare(row, layer, outputs[row], found)
                if layer == last:
                    result.output_mismatches += wrong
                    result.outputs.append(found)
            if cycles is not None:
                self._measure(cycles, row)
            result.rows += 1
        self._progress(suite, len(inputs), len(inputs))
        return result

    def quantize_rows(self, model: QuantizedModel, features: Float32Array) -> Comparison:
        """Lets the device quantize float rows (n, n_inputs), and reads its input buffer."""
        result = Comparison("float")
        expected = reference.quantize_inputs(model, features)
        for row, values in enumerate(features):
            self._progress("float", row, len(features))
            self._load(values)
            found = self._session.read(0, 0, model.n_inputs)
            result.compare(row, 0, expected[row], np.frombuffer(found, np.int8))
            result.rows += 1
        return result

    def _load(self, values: Values) -> None:
        if values.dtype == np.int8:
            self._session.load(values.tobytes())
        else:
            self._session.load_floats(values.astype(">f4").tobytes())

    def _measure(self, cycles: Cycles, row: int) -> None:
        masked = self._time(masked=True)
        if masked is not None:
            cycles.masked.append(masked)
        if row < UNMASKED_ROWS and (unmasked := self._time(masked=False)) is not None:
            cycles.unmasked.append(unmasked)

    def _time(self, *, masked: bool) -> int | None:
        # An AVR runs the network twice for one figure (docs/PROTOCOL.md).
        count = self._session.time(masked=masked, timeout_s=2 * self._timeout_s)
        return None if count == NOT_MEASURED else count
