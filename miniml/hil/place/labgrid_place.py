"""A board at a place of labgrid: on another machine, held for us by its coordinator."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import miniml
from miniml.boards import Board
from miniml.errors import NoBoardError, PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.lock.board_lock import board_lock
from miniml.hil.place.place import NOT_TOLD, Exporter, refuse_kit, told
from miniml.hil.place.simulated_board import SimulatedBoard

DEFAULT_COORDINATOR = "127.0.0.1:20408"  # labgrid's own
# The keeper's own limits (connecting, an exporter's answer, a port to come) come on top.
GRACE_S = 45.0
RELEASE_S = 20.0
# A line breaks at once; the coordinator hears of an exporter's end a moment later.
NEWS_S = 10.0
MAX_TEXT = 500


class LabgridPlace:
    """The place that `resource` names; a process of its own holds it (labgrid_keeper)."""

    ours: SimulatedBoard | None = None
    socket = ""
    doubt = ""  # whoever runs the lab says what hangs there

    def __init__(self, board: Board, world: str, wait_s: float, log: BoardLog) -> None:
        """`world` is the build's; nothing is acquired yet."""
        wanted, _, address = board.resource.removeprefix("labgrid:").partition("@")
        self._wanted = wanted
        self._address = address or os.environ.get("LG_COORDINATOR") or DEFAULT_COORDINATOR
        self._board, self._world, self._wait_s, self._log = board, world, wait_s, log
        self.simulated = told(board.simulated, world=world)
        self.note = ""
        self.exporter: Exporter | None = None
        self._url, self._lost = "", ""
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._keeper: subprocess.Popen[str] | None = None
        self._interrupted = threading.Event()

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Holds the place; it is released afterwards, unless it was acquired by hand.

        Raises:
            PortError: it is in use all the time, unknown, or there is no coordinator.
            NoBoardError: its exporter isn't there, or nothing is plugged in.
            FlashError: the offline kit's build for a real board.
        """
        began = time.monotonic()
        with self._alone():
            try:
                self._start(max(0.0, self._wait_s - (time.monotonic() - began)))
                refuse_kit(self._board, self._world, self.simulated, self.note)
                yield
            finally:
                self._stop()

    def _alone(self) -> AbstractContextManager[None]:
        """labgrid takes all processes of a user on a machine for one, but for reservations."""
        if "=" in self._wanted:
            return contextlib.nullcontext()
        key = f"labgrid {self._address} {self._wanted}"
        return board_lock(key, f"labgrid place {self._wanted}", self._wait_s, self._interrupted)

    def port(self) -> str | None:
        """Its URL; None while its exporter sees no such device."""
        self._hear()
        return self._url or None

    def check(self) -> None:
        """Raises PortError once the place is lost."""
        self._hear()
        if self._lost:
            raise PortError(f"labgrid: {self._lost}")

    def cause(self) -> str:
        """Why the place is lost; empty if it isn't."""
        deadline = time.monotonic() + NEWS_S
        while not self._lost and time.monotonic() < deadline:
            self._hear(timeout_s=0.1)
        return f"labgrid: {self._lost}" if self._lost else ""

    def interrupt(self) -> None:
        """Ends the wait for the place."""
        self._interrupted.set()

    def _start(self, wait_s: float) -> None:
        if importlib.util.find_spec("labgrid") is None:
            raise PortError(
                f"{self._board.name}: resource = {self._board.resource} needs labgrid: "
                "pip install 'miniml-pio[lab]'"
            )
        environment = dict(os.environ)
        paths = [str(Path(miniml.__file__).parent.parent), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        module = "miniml.hil.place.labgrid_keeper"
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", module, self._address, self._wanted, str(wait_s)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Out of reach of the terminal's Ctrl-C: it releases the place when stdin ends.
            start_new_session=os.name != "nt",
        )
        for read in (self._read_events, self._read_log):
            threading.Thread(target=read, args=(self._keeper,), daemon=True).start()
        deadline = time.monotonic() + wait_s + GRACE_S
        while self.exporter is None:
            self._hear(timeout_s=0.2)
            if self._interrupted.is_set():
                raise PortError(f"waiting for labgrid place {self._wanted} was interrupted")
            if time.monotonic() > deadline:
                raise PortError(f"labgrid at {self._address} does not answer: is it overloaded?")

    def _stop(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        assert keeper.stdin is not None
        keeper.stdin.close()
        try:
            keeper.wait(RELEASE_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
            self._log.add("host", f"labgrid place {self._wanted} may still be acquired")

    def _hear(self, timeout_s: float = 0.0) -> None:
        """Takes in what the keeper has said; waits so long for the first of it."""
        with contextlib.suppress(queue.Empty):
            event = self._events.get(timeout_s > 0, timeout_s or None)
            while True:
                self._take(event)
                event = self._events.get_nowait()

    def _take(self, event: dict[str, Any]) -> None:
        kind, why = event["event"], shown(event.get("why", ""))
        self._log.add("labgrid", f"{kind} {why or event.get('url', '')}")
        if kind == "waiting":
            print(f"miniml: {self._board.name} is waiting for {why}", file=sys.stderr)
        elif kind == "lost":
            self._lost, self._url = why, ""
        elif kind == "failed":
            error = NoBoardError if event.get("missing") else PortError
            raise error(f"labgrid at {self._address}: {why}")
        else:
            self._url = event["url"]
            self.exporter = Exporter(event["place"], event["host"], event["path"])
            if kind == "acquired":
                self.note = shown(f"labgrid place {event['place']} on {event['host']}")
                tag = event["tags"].get("simulated", "")
                self.simulated = told(self._board.simulated, tag, world=self._world)
                if self.simulated is None:
                    self.note += f"; {NOT_TOLD}, or as a tag of the place"

    def _read_events(self, keeper: subprocess.Popen[str]) -> None:
        assert keeper.stdout is not None
        with keeper.stdout:
            for line in filter(lambda line: line.startswith("{"), keeper.stdout):
                self._events.put(json.loads(line))
        if self._keeper is keeper:
            why = f"what held place {self._wanted} has ended (see the board's log)"
            self._events.put({"event": "lost" if self.exporter else "failed", "why": why})

    def _read_log(self, keeper: subprocess.Popen[str]) -> None:
        assert keeper.stderr is not None
        with keeper.stderr:
            for line in keeper.stderr:
                self._log.add("labgrid", line.rstrip())


def shown(text: str) -> str:
    """Text from the coordinator: bounded, one line, nothing that drives a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_TEXT])
