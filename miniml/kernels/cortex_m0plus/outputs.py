"""What the rows of one group share: constants, output addresses, and ways that are rarely taken.

R0: the group's constants, R7: outputs. A rare way sets R4 and goes back into its row.
"""

from __future__ import annotations

from miniml.kernels.cortex_m0plus.emit import Code
from miniml.model import Int8Array

ROW_BYTES = 72  # no row takes more, but for products of its own
STUB_CYCLES = 3  # of a rare way: MOVS and B
_WINDOW = 32  # words that LDR reaches from R0
_OUTPUT_REACH = 32  # bytes that STRB reaches from R7
_MOST_CONSTANTS = 6  # of one row
_BRANCH_BYTES = 230  # how far a conditional branch is let go


class Outputs:
    """Constants, output addresses and rare ways of the rows of one group."""

    def __init__(
        self, code: Code, outputs: str, table: str | None, values: Int8Array | None, lowest: int
    ) -> None:
        """Nothing is written yet; `lowest` is the group's first row."""
        self._lowest = lowest
        self.code = code
        self.table, self.values = table, values
        self._outputs = outputs
        self._constants: list[int | str] = []
        self._window = 0
        self._base: int | None = None
        self._stubs: list[tuple[str, int, str]] = []
        self._first_branch = 0

    def load(self, register: str, value: int | str) -> None:
        """A register becomes a constant: by itself, or from the group's constants."""
        if isinstance(value, int) and 0 <= value < 256:
            self.code.op(f"movs {register}, #{value}")
            return
        at = len(self._constants) - self._window
        self._constants.append(value)
        self.code.op(f"ldr {register}, [r0, #{4 * at}]")

    def final(self, y: int) -> int:
        """The byte of an output before the table."""
        return (y if self.values is None else int(self.values[y + 128])) & 0xFF

    def begin_row(self, row: int) -> int:
        """Makes R7 and R0 reach the row; the offset of its output from R7."""
        self.before(ROW_BYTES)
        if len(self._constants) + _MOST_CONSTANTS - self._window > _WINDOW:
            step = len(self._constants) - self._window
            self.code.op(f"adds r0, #{4 * step}")
            self._window = len(self._constants)
        if self._base is None:
            self._base = max(self._lowest, row - _OUTPUT_REACH + 1)
            self.load("r7", f"{self._outputs} + {self._base}")
        while not 0 <= row - self._base < _OUTPUT_REACH:
            step = max(-255, min(255, row - self._base))
            self.code.op(f"{'adds' if step > 0 else 'subs'} r7, #{abs(step)}")
            self._base += step
        return row - self._base

    def before(self, size: int) -> None:
        """So many bytes come next: rare ways that would be out of reach are written first."""
        if self._stubs and self.code.bytes + size - self._first_branch > _BRANCH_BYTES:
            self.flush()

    def stub(self, value: int, target: str) -> str:
        """The label of a rare way: R4 becomes a value, then on at the target."""
        for label, *rest in self._stubs:
            if rest == [value, target]:
                return label
        if not self._stubs:
            self._first_branch = self.code.bytes
        label = self.code.new_label("rare")
        self._stubs.append((label, value, target))
        return label

    def flush(self) -> None:
        """Writes the rare ways, with a branch around them."""
        if not self._stubs:
            return
        around = self.code.new_label("on")
        self.code.op(f"b {around}")
        before = self.code.cycles
        for label, value, target in self._stubs:
            self.code.label(label)
            self.code.ops(f"movs r4, #{value}", f"b {target}")
        self.code.cycles = before
        self.code.label(around)
        self._stubs = []

    def finish(self, data: Code) -> None:
        """The end of the group's fast rows."""
        self.flush()
        if self._constants:
            step = len(self._constants) - self._window
            if step:
                self.code.op(f"adds r0, #{4 * step}")
            data.words(self._constants, "constants")
