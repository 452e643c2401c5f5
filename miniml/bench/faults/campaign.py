"""Runs conversations of every kind until there were enough exchanges, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from miniml.bench.faults.device import Device, HostDevice, UnoDevice
from miniml.bench.faults.firmware import host_program, uno_image
from miniml.bench.faults.kinds import KINDS, Kind
from miniml.bench.faults.trial import Bench, Ending, converse
from miniml.bench.faults.wire import Wire
from miniml.boards import Board, pick_board
from miniml.cost.sample_models import sample_inputs, sample_models
from miniml.hil.link.session import ANSWER_TIMEOUT_S

# Of the time-outs. Most of a conversation's time is waiting for what was lost, so that several go
# on at once; the simulated Uno's bootloader listens for a second after a reset.
PATIENCE = {"host": 0.1, "uno": 0.25}
# A loaded machine is a fault as well: what ended otherwise than it may is tried once more, with
# time-outs so much longer, and counts as it ends then.
SECOND_PATIENCE = 8.0
WORKERS = 6
# Rounds over all kinds on the simulated Uno, and how often as much those that meet its bootloader.
UNO_ROUNDS = 2
BOOT_SHARE = 5
# The board that the simulated one is, and where its bootloader begins (optiboot).
UNO = "uno"
BOOT_START = 0x7E00
ROWS = 60

Progress = Callable[[int, str], None]


@dataclass
class Tally:
    """What came of one kind."""

    conversations: int = 0
    exchanges: int = 0
    on_uno: int = 0
    again: int = 0
    wrong: int = 0
    hangs: int = 0
    endings: dict[str, int] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)


@dataclass
class Result:
    """What the campaign found.

    Attributes:
        by_kind: a tally for each.
        flash_changed: bytes of the simulated Uno's flash that differ afterwards: of its program,
            of which page 0, and of the bootloader's section.
    """

    by_kind: dict[str, Tally]
    flash_changed: dict[str, int]

    def record(self) -> dict[str, Any]:
        """As JSON has it; a changed flash is one wrong ending more."""
        tallies = self.by_kind.values()
        return {
            "exchanges": sum(tally.exchanges for tally in tallies),
            "kinds": len(self.by_kind),
            "wrong": sum(tally.wrong for tally in tallies) + any(self.flash_changed.values()),
            "hangs": sum(tally.hangs for tally in tallies),
            "by_kind": {
                name: {key: value for key, value in vars(tally).items() if key != "surprises"}
                for name, tally in self.by_kind.items()
            },
        }

    def text(self) -> str:
        """A line a kind, what surprised, and the sum."""
        lines = [f"{'kind':<46} {'conversations':>13} {'exchanges':>9}  endings"]
        for name, tally in self.by_kind.items():
            endings = ", ".join(f"{how} {count}" for how, count in sorted(tally.endings.items()))
            lines.append(f"{name:<46} {tally.conversations:>13} {tally.exchanges:>9,}  {endings}")
            lines += [f"    WRONG, {surprise}" for surprise in tally.surprises]
        sums = self.record()
        changed = ", ".join(f"{name} {count}" for name, count in self.flash_changed.items())
        return "\n".join(
            [
                *lines,
                f"{sums['exchanges']:,} exchanges over {sums['kinds']} kinds: "
                f"{sums['wrong']} wrong, {sums['hangs']} hangs; "
                f"bytes of the Uno's flash changed: {changed or 'not run'}",
            ]
        )


def run_campaign(
    boards: Mapping[str, Board],
    exchanges: int,
    seed: int,
    uno_rounds: int,
    progress: Progress,
    kinds: Sequence[Kind] = KINDS,
) -> Result:
    """At least `exchanges` exchanges, and each kind at least once.

    Args:
        boards: of boards.ini; the Uno's section says how it is simulated.
        exchanges: requests made, all kinds together.
        seed: of model, rows and faults; what is drawn doesn't depend on time.
        uno_rounds: how often each kind runs on the simulated Uno, behind its bootloader; most run
            on the same C compiled for this machine.
        progress: gets the exchanges so far and the kind.
        kinds: all of them, or some.

    Raises:
        UsageError: a compiler is missing, or the Uno's section.
        SimulatorError: the simulated Uno didn't start.
    """
    board = pick_board(boards, UNO)
    (model,) = sample_models(seed, 1)
    bench = Bench(board, model, sample_inputs(model, seed, ROWS))
    tallies = {kind.name: Tally() for kind in kinds}
    with TemporaryDirectory(prefix="miniml-faults-") as name:
        folder = Path(name)
        program = host_program(model, _made(folder / "host"))
        crew = _Crew(bench, program, seed, kinds, tallies, exchanges, progress)
        if not uno_rounds:
            crew.work(None, 0)
            return Result(tallies, {})
        flash = _made(folder / "uno") / "flash.bin"
        flash.write_bytes(uno_image(model, _made(folder / "avr")))
        # Its first start puts the bootloader beside the program; its end writes all of it.
        UnoDevice(board, flash.parent).close()
        before = flash.read_bytes()
        with closing(UnoDevice(board, flash.parent)) as uno:
            crew.work(uno, uno_rounds)
        after = flash.read_bytes()
    return Result(tallies, _changes(before, after))


class _Crew:
    """Workers that take one conversation after the other."""

    def __init__(
        self,
        bench: Bench,
        program: Path,
        seed: int,
        kinds: Sequence[Kind],
        tallies: dict[str, Tally],
        exchanges: int,
        progress: Progress,
    ) -> None:
        self._bench, self._program, self._seed = bench, program, seed
        self._kinds = kinds
        self._tallies, self._goal, self._progress = tallies, exchanges, progress
        self._lock = threading.Lock()
        self._done = 0

    def work(self, uno: UnoDevice | None, uno_rounds: int) -> None:
        """Until there were enough, and each kind was tried."""
        with ThreadPoolExecutor(WORKERS) as pool:
            on_uno = pool.submit(self._on_uno, uno, uno_rounds)
            turns = self._turns()
            list(pool.map(lambda worker: self._on_host(turns), range(WORKERS - 1)))
            on_uno.result()

    def _turns(self) -> Iterator[tuple[int, Kind]]:
        for turn in count():
            for kind in self._kinds:
                if turn and self._done >= self._goal:
                    return
                yield turn, kind

    def _on_host(self, turns: Iterator[tuple[int, Kind]]) -> None:
        while True:
            with self._lock:
                turn = next(turns, None)
            if turn is None:
                return
            with closing(HostDevice(self._program)) as device:
                self._try(device, "host", *turn)

    def _on_uno(self, uno: UnoDevice | None, rounds: int) -> None:
        if uno is None:
            return
        for kind in self._kinds:
            for turn in range(rounds * (BOOT_SHARE if kind.resets else 1)):
                self._try(uno, "uno", turn, kind)

    def _try(self, device: Device, where: str, turn: int, kind: Kind) -> None:
        ending = self._converse(device, where, turn, kind, 1.0)
        again = ending.how not in kind.endings and not ending.hung
        if again:
            ending = self._converse(device, where, turn, kind, SECOND_PATIENCE)
        with self._lock:
            tally = self._tallies[kind.name]
            tally.conversations += 1
            tally.exchanges += ending.exchanges
            tally.on_uno += where == "uno"
            tally.again += again
            tally.hangs += ending.hung
            tally.endings[ending.how] = tally.endings.get(ending.how, 0) + 1
            if ending.how not in kind.endings:
                tally.wrong += 1
                tally.surprises.append(f"{where} {turn}: {ending.how} {ending.message}")
            self._done += ending.exchanges
            self._progress(self._done, kind.name)

    def _converse(
        self, device: Device, where: str, turn: int, kind: Kind, stretch: float
    ) -> Ending:
        rng = Random(f"{self._seed} {where} {turn} {kind.name}")
        patience = PATIENCE[where] * stretch
        with closing(Wire(device, kind.make(rng, ANSWER_TIMEOUT_S * patience))) as wire:
            ending = converse(self._bench, wire, kind, rng, patience)
        if isinstance(device, UnoDevice):
            device.await_program()
        else:
            device.reset()
        return ending


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _changes(before: bytes, after: bytes) -> dict[str, int]:
    differs = [
        place for place, pair in enumerate(zip(before, after, strict=True)) if len({*pair}) > 1
    ]
    return {
        "program": sum(place < BOOT_START for place in differs),
        "page_0": sum(place < 128 for place in differs),
        "bootloader": sum(place >= BOOT_START for place in differs),
    }
