"""The bench map: which sections say what of this bench, and writing it into a boards file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from miniml.atomic_file import write_atomically
from miniml.board_keys import READERS
from miniml.boards import Board
from miniml.cache import cache_dir
from miniml.errors import MiniMLError, PortError, SettingsError
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.ini_edit import read_ini, set_keys
from miniml.hil.finding.scan import Sighting

# How a board is told from others of its kind; one of them is enough.
MAP_KEYS = ("port", "usb_serial", "usb_location")
NEW_FILE = "# This bench: what hangs where (docs/BOARDS.md); not committed.\n"
LOCK_WAIT_S = 10.0


@dataclass(frozen=True)
class Proposal:
    """Keys for one section; those of MAP_KEYS that it leaves out no longer hold."""

    board: str
    keys: Mapping[str, str]
    reason: str

    def __str__(self) -> str:
        """Such as `[uno] usb_serial = 5573...: on /dev/ttyACM0`."""
        return (
            f"[{self.board}] {', '.join(f'{k} = {v}' for k, v in self.keys.items())}: {self.reason}"
        )


def propose(sightings: Iterable[Sighting], boards: Mapping[str, Board]) -> list[Proposal]:
    """A proposal for each board that is seen and not mapped where it is.

    Raises:
        PortError: two ports are the same board; lists both.
    """
    sightings = list(sightings)
    owners: dict[str, list[AttachedPort]] = {}
    for sighting in sightings:
        if sighting.board is not None:
            owners.setdefault(sighting.board, []).append(sighting.port)
    for name, ports in owners.items():
        if len(ports) > 1:
            raise PortError(
                f"{len(ports)} ports are {name}: {'; '.join(map(str, ports))}: say which by "
                f"--board {name} --port PORT"
            )
    everything = [sighting.port for sighting in sightings]
    return [
        _proposal(boards[sighting.board], sighting.port, everything)
        for sighting in sightings
        if sighting.board is not None and sighting.mapped != (sighting.board,)
    ]


def assign(board: Board, port: AttachedPort, ports: Iterable[AttachedPort]) -> Proposal:
    """The proposal for a board whose port the user named."""
    return _proposal(board, port, list(ports))


def _proposal(board: Board, port: AttachedPort, ports: list[AttachedPort]) -> Proposal:
    twins = [p for p in ports if p.usb_id == port.usb_id and p.serial == port.serial]
    if port.serial and "?" not in port.serial and len(twins) == 1:
        keys = {"usb_serial": port.serial}
    elif port.location:
        # Without the interface, which may change with the firmware, unless several are ports.
        alone = sum(p.socket == port.socket for p in ports) == 1
        keys = {"usb_location": port.socket if alone else port.location}
    else:
        keys = {"port": port.device}
    if board.usb_ids and port.usb_id is not None and port.usb_id not in board.usb_ids:
        ids = [*board.usb_ids, port.usb_id]
        keys["usb_ids"] = " ".join(f"{vendor:04x}:{product:04x}" for vendor, product in ids)
    return Proposal(board.name, keys, f"on {port.device}")


def changes(
    proposals: Iterable[Proposal], boards: Mapping[str, Board], text: str
) -> list[tuple[Proposal, dict[str, str | None], list[str]]]:
    """What each proposal means for a file: its keys to set, or to take out (None), and the
    lines `key = value` that it replaces, in whichever file they stand now."""
    here = read_ini(text) if text.strip() else {}
    found = []
    for proposal in proposals:
        own = here.get(proposal.board, {})
        board = boards[proposal.board]
        keys: dict[str, str | None] = {}
        replaced = []
        for key in MAP_KEYS:
            if key in proposal.keys:
                continue
            if getattr(board, key):
                replaced.append(f"{key} = {getattr(board, key)}")
                # What boards.ini says is overruled; what this file says goes.
                keys[key] = None if own.get(key) == getattr(board, key) else ""
        for key, value in proposal.keys.items():
            was = own.get(key, str(getattr(board, key)) if key in MAP_KEYS else "")
            if was and was != value:
                replaced.append(f"{key} = {was}")
            keys[key] = value
        if any(own.get(key) != value for key, value in keys.items()):
            found.append((proposal, keys, replaced))
    return found


def write_map(
    file: Path,
    proposals: Iterable[Proposal],
    boards: Mapping[str, Board],
    ask: Callable[[Proposal, list[str]], bool],
) -> list[Proposal]:
    """Writes the proposals that `ask` lets through into a boards file; returns them.

    `ask` gets a proposal and the lines that it replaces. The file is read anew afterwards, so
    that an edit made meanwhile stays.

    Raises:
        SettingsError: a wrong value, or a file that can't be edited without a person.
        MiniMLError: it can't be written.
    """
    proposals = list(proposals)
    for proposal in proposals:
        _check(proposal)
    wanted = [
        proposal
        for proposal, _, replaced in _in_file(file, proposals, boards)
        if ask(proposal, replaced)
    ]
    if not wanted:
        return []
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    try:
        with FileLock(folder / "boards_files.lock", timeout=LOCK_WAIT_S):
            text = _read(file)
            if text is None:
                text = NEW_FILE
            for proposal, keys, _ in _in_file(file, wanted, boards):
                try:
                    text = set_keys(text, proposal.board, keys)
                except SettingsError as error:
                    raise SettingsError(f"{file}: {error}") from error
            write_atomically(file, text.encode("utf-8"))
    except OSError as error:
        why = "another process holds it" if isinstance(error, Timeout) else error.strerror
        raise MiniMLError(f"{file} can't be written ({why}): check rights and room") from error
    return wanted


def _check(proposal: Proposal) -> None:
    for key, value in proposal.keys.items():
        try:
            READERS[key](value)
        except ValueError as error:
            raise SettingsError(f"[{proposal.board}] {key} = {value}: {error}") from error


def _in_file(
    file: Path, proposals: Iterable[Proposal], boards: Mapping[str, Board]
) -> list[tuple[Proposal, dict[str, str | None], list[str]]]:
    return changes(proposals, boards, (_read(file) or "").replace("\r\n", "\n"))


def _read(file: Path) -> str | None:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text (byte {error.start})") from error
