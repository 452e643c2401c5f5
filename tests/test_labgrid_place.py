"""Places of labgrid: held, waited for, lost and released; a real coordinator, exporter, ser2net."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from device_stand_in import DeviceStandIn
from labgrid_lab import Lab, reserved_port

from miniml.boards import Board, load_boards
from miniml.errors import FlashError, NoBoardError, PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.session import Session
from miniml.hil.open_board import open_board
from miniml.hil.place.labgrid_coordinator import Coordinator
from miniml.hil.place.labgrid_place import MAX_TEXT, LabgridPlace, shown
from miniml.hil.place.place import Place, told

ROOT = Path(__file__).resolve().parent.parent
PLACES = {
    "left": ("alpha", {"board": "uno", "simulated": "yes"}),
    "right": ("alpha", {"board": "uno", "simulated": "no"}),
    "untold": ("alpha", {}),
    "away": ("gamma", {}),
}
HOLD = """
import sys, time
sys.path[:0] = sys.argv[1:2]
from test_labgrid_place import place_of
with place_of(sys.argv[2], "left").occupied():
    print("held", flush=True)
    time.sleep(600)
"""


def board_at(address: str, wanted: str) -> Board:
    return replace(load_boards(ROOT)["uno"], resource=f"labgrid:{wanted}@{address}")


def place_of(
    address: str, wanted: str, world: str = "official", wait_s: float = 60
) -> LabgridPlace:
    return LabgridPlace(board_at(address, wanted), world, wait_s, BoardLog("uno"))


@pytest.fixture(scope="module")
def device() -> Iterator[DeviceStandIn]:
    with closing(DeviceStandIn()) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, device: DeviceStandIn) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), PLACES) as running:
        running.export("alpha", dict.fromkeys(("left", "right", "untold"), device.port))
        yield running


@pytest.fixture
def alice(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coordinator]:
    """Somebody else at the same lab."""
    with monkeypatch.context() as patch:
        patch.setenv("LG_HOSTNAME", "desk")
        patch.setenv("LG_USERNAME", "alice")
        session = Coordinator(lab.address)
    with closing(session):
        yield session


def occupy(place: Place) -> None:
    with place.occupied():
        pass


def holder_of(session: Coordinator, place: str) -> str:
    """Who has a place now, not when the session last heard of it."""
    session.catch_up()
    return str(session.places[place].acquired)


def take_away(session: Coordinator, place: str) -> None:
    """Releases a place whoever has it."""
    holder, session.user = session.user, holder_of(session, place)
    session.release(place)
    session.user = holder


def loss_of(place: Place) -> str:
    """Why it is lost, which the keeper may have yet to hear."""
    deadline = time.monotonic() + 60
    while not (why := place.cause()):
        assert time.monotonic() < deadline, "nothing is known of its loss"
    return why


def echo(place: Place) -> None:
    board, log = load_boards(ROOT)["uno"], BoardLog("uno")
    with closing(open_board(place, board, log, threading.Event())) as line:
        session = Session(line, log, patience=10)
        session.hello()
        assert session.ask("ECHO", "HELLO") == ("HELLO",)


def test_a_place_is_held_and_released(lab: Lab, alice: Coordinator, device: DeviceStandIn) -> None:
    place = place_of(lab.address, "left")
    with place.occupied():
        holder = holder_of(alice, "left")
        assert holder not in ("", alice.user)
        assert place.exporter is not None
        assert (place.exporter.place, place.exporter.host) == ("left", "127.0.0.1")
        assert place.exporter.device == device.port
        assert place.simulated is True
        place.check()
        assert "labgrid place left on 127.0.0.1" in place.note
        echo(place)
        assert f"acquired: {holder}" in lab.client("-p", "left", "show").stdout
    assert alice.acquire("left") == ""
    alice.release("left")


def test_who_holds_it_is_named(
    lab: Lab, alice: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    alice.acquire("right")
    try:
        with pytest.raises(PortError, match=r"place right is in use: held by desk/alice"):
            occupy(place_of(lab.address, "right", wait_s=1))
        assert "uno is waiting for place right: held by desk/alice" in capsys.readouterr().err
        assert holder_of(alice, "right") == "desk/alice"
        # It is had as soon as she gives it back.
        threading.Timer(1.0, alice.release, ["right"]).start()
        with place_of(lab.address, "right", wait_s=60).occupied():
            assert holder_of(alice, "right") != "desk/alice"
    finally:
        alice.release("right")


def test_one_acquired_by_hand_is_used_and_stays(lab: Lab) -> None:
    mine = Coordinator(lab.address)
    with closing(mine):
        mine.acquire("left")
        with place_of(lab.address, "left").occupied():
            pass
        assert holder_of(mine, "left") == mine.user
        mine.release("left")


def test_any_place_with_tags_by_reservation(lab: Lab, alice: Coordinator) -> None:
    alice.acquire("left")
    try:
        place = place_of(lab.address, "board=uno")
        with place.occupied():
            assert place.exporter is not None
            assert place.exporter.place == "right"
            assert place.simulated is False
            alice.catch_up()
            assert alice.places["right"].reservation
            with pytest.raises(PortError, match=r"simulated=no are in use: left by desk/alice"):
                occupy(place_of(lab.address, "board=uno,simulated=no", wait_s=0.1))
    finally:
        alice.release("left")
    assert alice.acquire("right") == ""
    alice.release("right")


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ("lefd", PortError, "no place 'lefd'; did you mean 'left'"),
        ("board=due", PortError, "no place has the tags board=due"),
        ("away", NoBoardError, r"is its exporter \(gamma\) running"),
    ],
)
def test_what_is_not_there(lab: Lab, wanted: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        occupy(place_of(lab.address, wanted))


def test_no_coordinator() -> None:
    with reserved_port() as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PortError, match=f"no labgrid coordinator answers at {nobody}"):
            occupy(place_of(nobody, "left"))


def test_what_the_kit_built_is_never_called_real(lab: Lab) -> None:
    with pytest.raises(FlashError, match="for simulated boards only"):
        occupy(place_of(lab.address, "right", "kit"))
    place = place_of(lab.address, "untold")
    with place.occupied():
        assert place.simulated is None
        assert "simulated = yes" in place.note


def test_what_is_said_of_a_board_that_cannot_be_seen() -> None:
    assert told("", world="official") is None
    assert told("no", "", world="official") is False
    assert told("no", "yes", world="official") is True
    assert told("", "yes", world="official") is True
    assert told("", world="kit") is True
    assert told("no", world="kit") is False


def test_a_killed_run_releases_its_place(lab: Lab, alice: Coordinator) -> None:
    command = [sys.executable, "-c", HOLD, str(ROOT / "tests"), lab.address]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"held\n"
        assert holder_of(alice, "left")
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while holder_of(alice, "left"):
        assert time.monotonic() < deadline, "still acquired"
        alice.wait(0.5)


def test_a_place_that_is_taken_away(lab: Lab, alice: Coordinator) -> None:
    place = place_of(lab.address, "left")
    with place.occupied():
        # As labgrid-client's `release --kick` of somebody else.
        take_away(alice, "left")
        assert "place left was taken away" in loss_of(place)
        assert place.port() is None
        with pytest.raises(PortError, match="taken away"):
            place.check()


def test_an_exporter_that_is_killed(lab: Lab, device: DeviceStandIn) -> None:
    lab.export("gamma", {"away": device.port})
    place = place_of(lab.address, "away")
    with place.occupied():
        # ser2net is an orphan then, and still answers.
        lab.kill("gamma", with_ser2net=False)
        assert loss_of(place) == "labgrid: exporter gamma has left the coordinator"
        with pytest.raises(PortError, match="exporter gamma has left"):
            place.check()


def test_a_wait_that_is_interrupted(lab: Lab, alice: Coordinator) -> None:
    alice.acquire("left")
    try:
        place = place_of(lab.address, "left", wait_s=60)
        threading.Timer(1.0, place.interrupt).start()
        with pytest.raises(PortError, match="waiting for labgrid place left was interrupted"):
            occupy(place)
    finally:
        alice.release("left")


def test_a_killed_keeper_leaves_the_place_to_the_next_run(lab: Lab, alice: Coordinator) -> None:
    place = place_of(lab.address, "left")
    with place.occupied():
        (keeper,) = children_named("labgrid_keeper")
        os.kill(keeper, signal.SIGKILL)
        assert "what held place left has ended" in loss_of(place)
    # labgrid does not tie a place to a session.
    assert holder_of(alice, "left") not in ("", alice.user)
    with place_of(lab.address, "left").occupied():
        pass
    take_away(alice, "left")


def test_a_coordinator_that_ends(tmp_path: Path, device: DeviceStandIn) -> None:
    with Lab(tmp_path, PLACES) as dying:
        dying.export("alpha", {"left": device.port})
        place = place_of(dying.address, "left")
        with place.occupied():
            dying.kill_coordinator()
            assert "labgrid: the coordinator is gone" in loss_of(place)


def test_without_labgrid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PortError, match=r"uno: resource = labgrid:left@.* 'miniml-pio\[lab\]'"):
        occupy(place_of("127.0.0.1:1", "left"))


def test_what_a_coordinator_says_can_not_drive_a_terminal() -> None:
    assert shown("held by \x1b[2Jmallory\n") == "held by ?[2Jmallory?"
    assert len(shown("x" * 10_000)) == MAX_TEXT


def children_named(text: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            line = (process / "cmdline").read_text()
        except OSError:
            continue
        if int(parent) == os.getpid() and text in line:
            found.append(int(process.name))
    return found
