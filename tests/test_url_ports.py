"""Boards behind a URL: opened, lost, and never called real unasked."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from device_stand_in import DeviceStandIn
from flash_bench import flash_job

from miniml.boards import Board, load_boards
from miniml.errors import FlashError, PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import Session
from miniml.hil.place.find import find_place
from miniml.hil.place.place import Place
from miniml.hil.run_options import RunOptions

ROOT = Path(__file__).resolve().parent.parent
URL = "socket://bench-2:4000"


@contextmanager
def served(device: DeviceStandIn) -> Iterator[str]:
    """The device as `socket://`, for one caller."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def carry() -> None:
            try:
                there, _ = listening.accept()
            except OSError:
                return
            descriptor = os.open(device.port, os.O_RDWR | os.O_NOCTTY)
            with there:
                while True:
                    ready = select.select([there.fileno(), descriptor], [], [], 10)[0]
                    if descriptor in ready:
                        there.sendall(os.read(descriptor, 4096))
                    if there.fileno() in ready:
                        data = there.recv(4096)
                        if not data or data.startswith(b"hang up"):
                            break
                        os.write(descriptor, data)
            os.close(descriptor)

        carrier = threading.Thread(target=carry, daemon=True)
        carrier.start()
        yield f"socket://127.0.0.1:{listening.getsockname()[1]}"
        carrier.join(60)


def place_at(
    tmp_path: Path, world: str, *, given: bool = True, name: str = "uno", **keys: str
) -> Place:
    boards = dict(load_boards(ROOT))
    board: Board = replace(boards[name], **keys)  # type: ignore[arg-type]
    if not given:
        board = replace(board, port=URL)
    boards[name] = board
    build = replace(flash_job(tmp_path, name).build, world=world)
    options = RunOptions(ROOT, boards=(name,), port=URL if given else "")
    return find_place(board, boards, build, options, BoardLog(name))


def test_a_board_behind_a_socket() -> None:
    with (
        closing(DeviceStandIn()) as device,
        served(device) as url,
        closing(LinePort(url, 115200)) as line,
    ):
        session = Session(line, BoardLog("uno"), patience=10)
        session.hello()
        assert session.ask("ECHO", "HELLO") == ("HELLO",)
        line.write(b"hang up")
        with pytest.raises(PortError, match=f"{url} vanished"):
            session.ask("ECHO", "HELLO")


def test_nobody_listens() -> None:
    # Bound, so that nobody else gets this port meanwhile.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        begin = time.monotonic()
        for scheme in ("socket", "rfc2217"):
            with pytest.raises(PortError, match=f"{scheme}://127.0.0.1:{number}"):
                LinePort(f"{scheme}://127.0.0.1:{number}", 115200)
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("given", [True, False])
def test_nothing_is_called_real_unasked(tmp_path: Path, given: bool) -> None:
    place = place_at(tmp_path, "official", given=given)
    assert (place.simulated, place.port()) == (None, URL)
    assert "say `simulated = yes` or `no`" in place.note
    for said, simulated in (("yes", True), ("no", False)):
        place = place_at(tmp_path, "official", given=given, simulated=said)
        assert (place.simulated, place.note) == (simulated, "")


@pytest.mark.parametrize("given", [True, False])
def test_what_the_kit_built_runs_on_simulated_boards(tmp_path: Path, given: bool) -> None:
    place = place_at(tmp_path, "kit", given=given)
    assert (place.simulated, place.port(), place.ours) == (True, URL, None)


def test_what_the_kit_built_is_refused_by_a_real_board(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match=f"for the uno on {URL} build with the official"):
        place_at(tmp_path, "kit", simulated="no")
    # One that the section names is left alone, and a simulated board stands in.
    place = place_at(tmp_path, "kit", given=False, simulated="no")
    assert place.ours is not None
    assert f"a real uno is on {URL}" in place.note
