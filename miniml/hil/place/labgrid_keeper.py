"""Holds a place of labgrid for its parent, and releases it however the parent ends.

`python -m miniml.hil.place.labgrid_keeper COORDINATOR PLACE WAIT_S`: acquires the place, says on
stdout what happens (a JSON object a line, `Event`), and releases when its stdin ends. A process
of its own, so that Ctrl-C, a crash and `kill -9` of the parent release the place as well.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any, NoReturn, TypedDict

from miniml.board_keys import nearest
from miniml.errors import MiniMLError, NoBoardError, PortError
from miniml.hil.place.labgrid_coordinator import Coordinator

POLL_S = 0.5
# PollReservation renews it for 60 s (labgrid.remote.common.Reservation).
RENEW_S = 20.0
# Who takes a place away first has its resources released, then the place.
SETTLE_S = 0.3
# How long the serial port of a place may be away when it was just acquired.
PLUGGED_S = 10.0


class Event(TypedDict, total=False):
    """What the keeper says.

    Keys:
        event: "waiting" (with `why`), "acquired", "moved" (another port), "lost" and "failed"
            (with `why`; "missing" is true where the board isn't there).
        place, host, url, path, tags: of "acquired" and "moved". `path` is the serial device on
            `host`, the machine that ssh reaches; empty if the exporter doesn't tell.
    """

    event: str
    why: str
    missing: bool
    place: str
    host: str
    url: str
    path: str
    tags: dict[str, str]


class Keeper:
    """One place from its acquisition to its release."""

    def __init__(self, coordinator: Coordinator, wanted: str, wait_s: float) -> None:
        """`wanted` is a place's name, or tags ("board=uno,fast=yes") of any that will do."""
        self._lab, self._wanted = coordinator, wanted
        self._deadline = time.monotonic() + wait_s
        self._ended = threading.Event()
        self._ours, self._token, self._renewed = False, "", 0.0

    def end(self) -> None:
        """Makes `hold` release the place and return."""
        self._ended.set()
        self._lab.wake()

    def hold(self) -> None:
        """Acquires the place, watches it and releases it.

        Raises:
            NoBoardError: the board isn't there.
            PortError: it could not be had otherwise.
        """
        name = ""
        try:
            name = self._reserved() if "=" in self._wanted else self._known(self._wanted)
            if self._acquire(name):
                self._watch(name)
        finally:
            if self._ours:
                self._lab.release(name)
            if self._token:
                self._lab.cancel_reservation(self._token)

    def _known(self, name: str) -> str:
        places = self._lab.places
        if name not in places:
            raise PortError(
                f"there is no place {name!r}{nearest(name, places)} (labgrid-client places)"
            )
        return name

    def _reserved(self) -> str:
        """A free place with the wanted tags: whoever asked first gets it first."""
        tags = dict(part.partition("=")[::2] for part in self._wanted.split(","))
        if not any(tags.items() <= place.tags.items() for place in self._lab.places.values()):
            raise PortError(f"no place has the tags {self._wanted} (labgrid-client -v places)")
        self._token = self._lab.reserve(tags)
        said = False
        while not self._ended.is_set():
            if name := self._lab.allocated(self._token):
                self._renewed = time.monotonic()
                return name
            if not said:
                say(event="waiting", why=f"a place with the tags {self._wanted}: {self._users()}")
                said = True
            if time.monotonic() > self._deadline:
                raise PortError(
                    f"all places with the tags {self._wanted} are in use: {self._users()}"
                )
            self._lab.wait(POLL_S)
        return ""

    def _users(self) -> str:
        held = (place for place in self._lab.places.values() if place.acquired)
        return ", ".join(f"{place.name} by {place.acquired}" for place in held) or "reserved"

    def _acquire(self, name: str) -> bool:
        """True once the place is held; False if that is no longer wanted."""
        said = ""
        while not self._ended.is_set():
            holder = self._lab.places[name].acquired if name in self._lab.places else ""
            if holder == self._lab.user and not self._token:
                return True  # by hand, with labgrid-client: it is used, and stays acquired
            why = f"held by {holder}"
            if not holder:
                refused = self._lab.acquire(name)
                if not refused:
                    self._ours = True
                    return True
                why = self._why_not(name, refused)
            if why != said:
                say(event="waiting", why=f"place {name}: {why}")
                said = why
            if time.monotonic() > self._deadline:
                raise PortError(f"place {name} is in use: {why}; wait for it or have it released")
            self._lab.wait(POLL_S)
        return False

    def _why_not(self, name: str, answer: str) -> str:
        for path, resource in self._lab.resources.items():
            if resource.acquired not in ("", name) and self._lab.matches(name, path, resource):
                return f"its {path} is acquired by place {resource.acquired}"
        return answer

    def _watch(self, name: str) -> None:
        told: Event = {}
        plugged_by = time.monotonic() + PLUGGED_S
        while not self._ended.is_set():
            why = self._lab.gone or self._taken(name)
            absent = "" if why else self._absent(name)
            if absent and told:
                time.sleep(SETTLE_S)
                why = self._lab.gone or self._taken(name)
            if (why or absent) and told:
                say(event="lost", why=why or absent)
                self._ended.wait()
                return
            if why or absent:
                raise PortError(why) if why else NoBoardError(absent)
            now = self._described(name)
            if now != told and (told or now["url"]):
                say(**{**now, "event": "moved" if told else "acquired"})
                told = now
            if not told and time.monotonic() > plugged_by:
                raise NoBoardError(f"nothing is plugged in at place {name}")
            self._lab.wait(POLL_S)
            if self._token and time.monotonic() - self._renewed > RENEW_S:
                self._lab.allocated(self._token)
                self._renewed = time.monotonic()

    def _taken(self, name: str) -> str:
        place = self._lab.places.get(name)
        if place is not None and place.acquired == self._lab.user:
            return ""
        holder = place.acquired if place else ""
        return f"place {name} was taken away" + (f" by {holder}" if holder else "")

    def _absent(self, name: str) -> str:
        ports = self._ports(name)
        if len(ports) > 1:
            return f"place {name} has {len(ports)} serial ports, must be one: {', '.join(ports)}"
        if not ports:
            matches = self._lab.places[name].matches
            exporters = ", ".join(sorted({match.exporter for match in matches})) or "none"
            return f"place {name} has no serial port: is its exporter ({exporters}) running?"
        resource = self._lab.resources.get(ports[0])
        if resource is None or resource.acquired != name:
            return f"exporter {ports[0].split('/')[0]} has left the coordinator"
        return ""

    def _ports(self, name: str) -> list[str]:
        """The serial ports of the place, by path (exporter/group/class/name)."""
        held = self._lab.places[name].acquired_resources
        return [p for p in held if p.split("/")[2] == "NetworkSerialPort"]

    def _described(self, name: str) -> Event:
        (path,) = self._ports(name)
        resource = self._lab.resources[path]
        there = resource.avail and resource.params.get("port")
        return {
            "place": name,
            "host": resource.machine,
            "url": resource.url() if there else "",
            "path": str(resource.extra.get("path") or ""),
            "tags": dict(self._lab.places[name].tags),
        }


def say(**event: Any) -> None:
    """One event; a parent that has gone isn't told."""
    try:
        print(json.dumps(event), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def main(address: str, wanted: str, wait_s: str) -> int:
    """Holds the place until stdin ends; 1 if it could not be had."""
    try:
        lab = Coordinator(address)
    except PortError as error:
        say(event="failed", why=str(error))
        return 1
    keeper = Keeper(lab, wanted, float(wait_s))

    def terminated(*_: object) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, terminated)

    def await_end() -> None:
        sys.stdin.buffer.read()
        keeper.end()

    threading.Thread(target=await_end, daemon=True).start()
    try:
        keeper.hold()
    except MiniMLError as error:
        say(event="failed", why=str(error), missing=isinstance(error, NoBoardError))
        return 1
    finally:
        lab.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
