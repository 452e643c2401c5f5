"""The boards of a project: boards.ini, then boards.local.ini, checked and typed.

A section is a PlatformIO environment; docs/BOARDS.md describes every key. Only the standard
library is used, so that the build hook and `miniml --help` stay cheap.
"""

from __future__ import annotations

import configparser
import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from miniml.board_keys import MODES, READERS, REQUIRED, nearest
from miniml.errors import ModeError, SettingsError

BOARDS_FILE = "boards.ini"
LOCAL_FILE = "boards.local.ini"


@dataclass(frozen=True)
class Board:
    """One section of boards.ini; a field a key (docs/BOARDS.md).

    Attributes:
        name: the section, which is also the PlatformIO environment.
        title: what a person calls it.
        core: "avr", "cortex-m4" or "cortex-m0plus"; picks the cost model.
        mode: the backend that generates the header.
        clock_hz: core clock in Hz.
        flash_bytes: room for the program, in bytes.
        sram_bytes: SRAM in bytes.
        link_stream: the Arduino stream that the link talks on.
        link_baud: rate of that stream, in baud.
        reset: what resets the board: opening the port (dtr), nothing, a 1200-baud touch
            or the RESET request of the link (verb).
        reset_settle_ms: how long the board stays deaf after a reset, in ms.
        port_dtr, port_rts: levels of the modem lines while the port is open.
        flash_method: the strategy of miniml.hil.flash.
        flash_baud: rate of the bootloader, in baud; None where it has none.
        flash_baud_fallback: tried where no bootloader answers at flash_baud; None: nothing.
        flash_parity: parity of a real STM32's ROM loader, as stm32flash -m wants it.
        flash_sequence: stm32flash's -i: how DTR and RTS drive NRST and BOOT0; may be empty.
        flash_serial: serial number of the ST-LINK or loader, where it isn't its port's.
        power: "uhubctl:HUB:PORT", the hub port that can switch its supply; empty: none.
        retries: how often a board that doesn't come back is power-cycled and tried again.
        usb_ids: (vendor, product) of its USB adapters.
        port: serial port of this board on this bench; empty: look for usb_ids.
        usb_serial: USB serial number on this bench; empty: any.
        usb_location: USB socket on this bench, as pyserial calls it; empty: any.
        quarantine: why its result doesn't count for now; empty: it counts.
        quarantine_until: the last day on which it doesn't count.
        resource: "labgrid:PLACE[@COORDINATOR]" where the board hangs in a lab; else empty.
        lab_flash: command that flashes it on the exporter's host; empty: there is none.
        simulated: "yes" or "no", what hangs behind a URL or a place; empty: not told.
        simulator: which simulated board stands in for it; empty: none.
        simulator_bootloader: what waits in the simulated flash; empty: the chip's own.
    """

    name: str
    title: str
    core: str
    mode: str
    clock_hz: int
    flash_bytes: int
    sram_bytes: int
    link_stream: str
    link_baud: int
    reset: str
    flash_method: str
    reset_settle_ms: int = 0
    port_dtr: bool = True
    port_rts: bool = True
    flash_baud: int | None = None
    flash_baud_fallback: int | None = None
    flash_parity: str = "8e1"
    flash_sequence: str = ""
    flash_serial: str = ""
    power: str = ""
    retries: int = 0
    usb_ids: tuple[tuple[int, int], ...] = ()
    port: str = ""
    usb_serial: str = ""
    usb_location: str = ""
    quarantine: str = ""
    quarantine_until: date | None = None
    resource: str = ""
    lab_flash: str = ""
    simulated: str = ""
    simulator: str = ""
    simulator_bootloader: str = ""


def load_boards(project_dir: Path, local_dir: Path | None = None) -> dict[str, Board]:
    """Every board of a project by name, in the order of the files.

    boards.local.ini may change keys of a board and add boards; boards.ini must be there.

    Args:
        project_dir: of boards.ini.
        local_dir: of boards.local.ini; None: the same.

    Raises:
        SettingsError: a file that can't be read, or a wrong section, key or value; the
            message names file, section and key, and the nearest valid name.
    """
    main, local = project_dir / BOARDS_FILE, (local_dir or project_dir) / LOCAL_FILE
    if not main.is_file():
        raise SettingsError(
            f"{main} is missing: run inside a MiniML project, or copy MiniML's boards.ini there"
        )
    values: dict[str, dict[str, object]] = {}
    origin: dict[str, Path] = {}
    for file in (main, local):
        if file.is_file():
            for section, keys in _read(file).items():
                values.setdefault(section, {}).update(keys)
                origin.setdefault(section, file)
    if not values:
        raise SettingsError(f"{main} has no section: add one for each PlatformIO environment")
    return {name: _board(name, keys, origin[name]) for name, keys in values.items()}


def pick_board(boards: Mapping[str, Board], name: str) -> Board:
    """The board of that name.

    Raises:
        SettingsError: there is none; names the nearest one.
    """
    if name not in boards:
        known = tuple(boards)
        raise SettingsError(
            f"unknown board {name!r}: {BOARDS_FILE} has {', '.join(known)}{nearest(name, known)}"
        )
    return boards[name]


def in_mode(board: Board, mode: str) -> Board:
    """The board with another mode than boards.ini says; with "" as it is.

    Raises:
        ModeError: there is no such mode; names the nearest one.
    """
    if not mode:
        return board
    if mode not in MODES:
        raise ModeError(f"there is no mode {mode!r}: {', '.join(MODES)}{nearest(mode, MODES)}")
    return dataclasses.replace(board, mode=mode)


def _read(file: Path) -> dict[str, dict[str, object]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="\n")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # report keys as typed
    try:
        parser.read_string(file.read_text(encoding="utf-8-sig"), source=str(file))
    except OSError as error:
        raise SettingsError(f"can't read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text (byte {error.start})") from error
    except configparser.Error as error:
        raise SettingsError(f"{file}: {' '.join(str(error.message).split())}") from error
    found: dict[str, dict[str, object]] = {}
    for section in parser.sections():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", section):
            raise SettingsError(
                f"{file}, [{section}]: a board is named by its PlatformIO environment, at most "
                "32 letters, digits, underscores and hyphens"
            )
        found[section] = {
            key: _value(file, section, key, text.strip()) for key, text in parser.items(section)
        }
    return found


def _value(file: Path, section: str, key: str, text: str) -> object:
    if key not in READERS:
        raise SettingsError(f"{file}, [{section}]: unknown key {key!r}{nearest(key, READERS)}")
    if key in REQUIRED and not text:
        raise SettingsError(f"{file}, [{section}] {key}: is empty")
    try:
        return READERS[key](text)
    except ValueError as error:
        raise SettingsError(f"{file}, [{section}] {key} = {text}: {error}") from error


def _board(name: str, keys: Mapping[str, object], file: Path) -> Board:
    for key in REQUIRED:
        if key not in keys:
            raise SettingsError(f"{file}, [{name}]: key {key!r} is missing")
    board = Board(name=name, **keys)  # type: ignore[arg-type]  # READERS made each type
    if board.flash_method in ("avrdude", "stm32flash") and board.flash_baud is None:
        raise SettingsError(
            f"{file}, [{name}]: key 'flash_baud' is missing; {board.flash_method} needs it"
        )
    if bool(board.quarantine) != (board.quarantine_until is not None):
        raise SettingsError(
            f"{file}, [{name}]: a quarantine needs both its reason and its last day, "
            "`quarantine` and `quarantine_until`"
        )
    if "{baud}" in board.lab_flash and board.flash_baud is None:
        raise SettingsError(f"{file}, [{name}] lab_flash: {{baud}} needs the key 'flash_baud'")
    if board.resource and board.port:
        raise SettingsError(
            f"{file}, [{name}]: 'port' and 'resource' exclude each other: a board is in one place"
        )
    if board.simulator_bootloader and board.simulator != "atmega328p":
        raise SettingsError(
            f"{file}, [{name}] simulator_bootloader: only simulator = atmega328p has one"
        )
    return board
