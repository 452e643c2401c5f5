"""Soaks a simulated board: soak_firmware on the XOR model, asked over the link for many rows.

A request is 16 rows, so many rounds over them, and batches of inferences in one measured run. What
is compared:

- here, in every request: the rows' output bytes with the reference; the rows' cycles with the
  foretold ones (AVR: equal; ARM: within what the harness allows); each batch's cycles with
  a + b * inferences, a and b from the first two batches, across the counter's wraps;
- on the board, for every inference: its output bytes and its cycles with those of its row's first
  round; the registers of the counters that the measurement borrows; millis(), which must not go
  back.

Before each request millis() and micros() are set three ticks before their overflow; before each
measured inference Timer1, SysTick and CYCCNT are set shortly before theirs.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from miniml import reference
from miniml.boards import load_boards
from miniml.cost import foretell
from miniml.hil.board_log import BoardLog
from miniml.hil.firmware_build import load_build
from miniml.hil.flash import FlashJob, flash
from miniml.hil.link.session import Session
from miniml.hil.open_board import open_board
from miniml.hil.place.find import find_place
from miniml.hil.proof.cycle_rules import SIMULATED_ASSEMBLY
from miniml.hil.proof.identity import check_board, check_firmware, who_is_there
from miniml.hil.run_options import RunOptions
from miniml.kernels.choice import kernels_for
from miniml.pipeline import prepare

ROOT = Path(__file__).resolve().parent.parent
ROWS, BATCHES = 16, 4
NOT_COUNTED = 0xFFFFFFFF
RUN_TIMEOUT_S = 120.0
# How far each counter reaches: Timer1 at prescale 1024, CYCCNT, SysTick.
REACH = {"avr": 65_535 * 1024, "cortex-m4": 2**32, "cortex-m0plus": 2**24}
# Batches: the longest of an ordinary request, and how often one is near the counter's reach.
ORDINARY_BATCH = 400
LONG_EVERY = 40
# A CYCCNT of 2^32 is half a minute of simulation: M4 stays below a tenth of a second.
LONGEST_BATCH_CYCLES = 2**25


@dataclass
class Tally:
    """What a board has been through.

    Attributes:
        inferences: compared and timed, one by one.
        batched: more, in batches.
        wraps: overflows of the borrowed counters that fell into a request.
        faults: in words; empty is the aim.
        lowest, highest: cycles of one inference.
    """

    requests: int = 0
    inferences: int = 0
    batched: int = 0
    wraps: int = 0
    not_counted: int = 0
    lowest: int = NOT_COUNTED
    highest: int = 0
    worst_error: float = 0.0
    faults: list[str] = field(default_factory=list)


def build_soak(workspace: Path, boards: tuple[str, ...], environment: dict[str, str]) -> None:
    """`pio run` of the soak firmware into a workspace."""
    text = (ROOT / "platformio.ini").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^src_dir.*", "src_dir = tests/soak_firmware", text)
    text = re.sub(r"(?m)^custom_miniml_model.*", "custom_miniml_model = firmware/models/xor", text)
    workspace.mkdir(parents=True, exist_ok=True)
    (workspace / "soak.ini").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "platformio", "run", "-d", str(ROOT)]
    command += ["-c", str(workspace / "soak.ini")]
    command += [word for board in boards for word in ("-e", board)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Soak:
    """A flashed simulated board that answers requests."""

    def __init__(self, name: str, session: Session) -> None:
        """Foretells for the build of that board."""
        self.board = load_boards(ROOT)[name]
        build = load_build(ROOT, name)
        prepared = prepare(build.model_dir, train="frozen")
        self.model, self._session = prepared.model, session
        self._kernels = kernels_for(self.model, self.board, prepared.settings.code)
        self._toolchain = build.toolchain
        self._clocks = clocks_of(build.elf)
        self._step = 0

    def request(self, number: int, rounds: int, tally: Tally) -> None:
        """One request, the same for the same number; its result goes into the tally."""
        rng = np.random.default_rng([number, 2026])
        rows = rng.integers(-128, 128, (ROWS, self.model.n_inputs)).astype(np.int8)
        long = number % LONG_EVERY == 1 and self._step
        most = (
            min(REACH[self.board.core] * 11 // 10, LONGEST_BATCH_CYCLES) // self._step
            if long
            else 0
        )
        sizes = [1, 2, int(rng.integers(3, ORDINARY_BATCH)), most or int(rng.integers(3, 100))]
        content = struct.pack("<2I4IH", *self._clocks, *sizes, rounds) + rows.tobytes()
        self._session.load(content)
        answer = self._session.run(1, self._answer_size(), RUN_TIMEOUT_S)
        tally.requests += 1
        self._judge(number, rows, sizes, rounds, answer, tally)

    def _answer_size(self) -> int:
        return ROWS * self.model.n_outputs + 4 * (ROWS + BATCHES + 1) + 2 * 5

    def _judge(
        self,
        number: int,
        rows: np.ndarray[tuple[int, ...], np.dtype[np.int8]],
        sizes: list[int],
        rounds: int,
        answer: bytes,
        tally: Tally,
    ) -> None:
        outputs = np.frombuffer(answer[: ROWS * self.model.n_outputs], np.int8)
        fields = struct.unpack(f"<{ROWS + BATCHES + 1}I5H", answer[outputs.size :])
        cycles, batches = np.array(fields[:ROWS]), fields[ROWS : ROWS + BATCHES]
        inferences = fields[ROWS + BATCHES]
        wrong = dict(zip(("outputs", "cycles", "registers", "millis"), fields[-5:-1], strict=True))
        tally.inferences += inferences
        tally.batched += sum(sizes)
        tally.wraps += fields[-1]
        tally.lowest = min(tally.lowest, int(cycles.min()))
        tally.highest = max(tally.highest, int(cycles.max()))

        def fault(text: str) -> None:
            tally.faults.append(f"request {number}: {text}")

        expected = reference.run_layers(self.model, rows)[-1]
        if not np.array_equal(outputs.reshape(expected.shape), expected):
            fault("outputs are not the reference's")
        for what, count in wrong.items():
            if count:
                fault(f"{count} wrong {what} on the board")
        if inferences != ROWS * rounds:
            fault(f"{inferences} inferences, not {ROWS * rounds}")
        foretold = foretell(
            self.model, self.board, self._toolchain, rows, self._kernels
        ).cycles_by_row
        assert foretold is not None
        error = float(np.max(np.abs(cycles - foretold) / foretold))
        tally.worst_error = max(tally.worst_error, error)
        if error > SIMULATED_ASSEMBLY[self.board.core]:
            fault(f"cycles {cycles.tolist()}, foretold {foretold.tolist()}")
        self._step = batches[1] - batches[0]
        for size, found in zip(sizes, batches, strict=True):
            right = batches[0] + (size - 1) * self._step
            if right >= REACH[self.board.core]:
                right = NOT_COUNTED
                tally.not_counted += 1
            if found != right:
                fault(f"{size} inferences took {found} cycles, not {right}")


def clocks_of(elf: Path) -> tuple[int, int]:
    """Addresses of the counts behind millis() and micros(); 0 where there is none."""
    with elf.open("rb") as file:
        symbols = {
            symbol.name: int(symbol["st_value"])
            for section in ELFFile(file).iter_sections()
            if isinstance(section, SymbolTableSection)
            for symbol in section.iter_symbols()
        }
    if "timer0_millis" in symbols:
        return symbols["timer0_millis"] & 0xFFFF, symbols["timer0_overflow_count"] & 0xFFFF
    return next(place for name, place in symbols.items() if "milliseconds" in name), 0


@contextmanager
def soaking(name: str, workspace: Path) -> Iterator[Soak]:
    """The simulated board, flashed with what `build_soak` made and asked who it is.

    PLATFORMIO_WORKSPACE_DIR must be the workspace.
    """
    boards = load_boards(ROOT)
    board, build = boards[name], load_build(ROOT, name)
    options = RunOptions(ROOT, boards=(name,), simulated="always")
    with closing(BoardLog(name, workspace / "miniml" / "log" / f"{name}.log")) as log:
        place = find_place(board, boards, build, options, log)
        cancel = threading.Event()
        with place.occupied():
            flash(FlashJob(ROOT, board, place, build, log, cancel))
            with closing(open_board(place, board, log, cancel)) as line:
                session = Session(line, log, patience=5)
                identity = who_is_there(session, 0)
                check_board(identity, board, line.url)
                check_firmware(identity, build)
                yield Soak(name, session)
