"""What a run of the harness was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Simulated = Literal["auto", "never", "always"]
SIMULATED: tuple[Simulated, ...] = ("auto", "never", "always")
DEFAULT_RANDOM = 1000
DEFAULT_WAIT_S = 120.0
DEFAULT_FLOATS = 40


@dataclass(frozen=True)
class RunOptions:
    """Options of `miniml run` and, with --hil- before them, of pytest (docs/HARNESS.md).

    Attributes:
        project: folder of platformio.ini; with a bundle, where reports and boards.local.ini are.
        bundle: runs what it holds instead of the project's builds; None: the project's.
        boards: names from boards.ini; empty: all of them.
        port: serial port of the only board; empty: look for it.
        simulated: whether a simulated board may stand in.
        samples: rows of the test split; None: all.
        random: how many random int8 inputs besides; None: the default, at most `samples`.
        floats: how many rows go through the device's own quantizer besides; None: as `random`.
        repeat: how often the test rows run in all, at least once.
        soak_s: for how many seconds they run again and again; 0: they don't.
        flash: whether to flash first.
        adopt: flash even a port where another board's firmware answers, a silent one that may be
            anything, and the only board that waits in its boot loader.
        pace: of simulated boards: "free", or "realtime".
        patience: stretches the link's time-outs.
        wait_s: how long a board in use is waited for.
        unpoison: touch also a board that did not come back in an earlier run.
        verbose: show what happens, command lines included.
        optional: no board is a SKIP.
        required: boards that must have run and passed.
        append: add to the report that is there.
    """

    project: Path
    bundle: Path | None = None
    boards: tuple[str, ...] = ()
    port: str = ""
    simulated: Simulated = "auto"
    samples: int | None = None
    random: int | None = None
    floats: int | None = None
    repeat: int = 1
    soak_s: float = 0.0
    flash: bool = True
    adopt: bool = False
    pace: str = "free"
    patience: float = 1.0
    wait_s: float = DEFAULT_WAIT_S
    unpoison: bool = False
    verbose: bool = False
    optional: bool = False
    required: tuple[str, ...] = ()
    append: bool = False

    @property
    def random_rows(self) -> int:
        """Random int8 inputs of this run."""
        return self._besides(self.random, DEFAULT_RANDOM)

    @property
    def float_rows(self) -> int:
        """Rows of this run that the device quantizes itself."""
        return self._besides(self.floats, DEFAULT_FLOATS)

    def _besides(self, asked: int | None, default: int) -> int:
        # A run that was asked to be short is short.
        limit = default if self.samples is None else min(default, self.samples)
        return limit if asked is None else asked
