"""The hardware map of Zephyr's Twister, read and written (docs/BOARDS.md, "Twister").

Its form is scripts/schemas/twister/hwmap-schema.yaml of Zephyr: a list of boards with
`connected`, `id`, `platform`, `product`, `runner`, and perhaps `serial`, `baud`, `notes`, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from miniml.board_keys import nearest
from miniml.boards import Board
from miniml.errors import SettingsError, UsageError
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.bench_map import Proposal
from miniml.hil.finding.candidates import find_port

# Zephyr's names of boards that PlatformIO calls otherwise.
PLATFORMS = {"disco_f407vg": "stm32f4_disco", "pico": "rpi_pico"}
# West's runner for each of our ways to flash; "unknown" is what Twister writes itself.
RUNNERS = {
    "stlink": "openocd",
    "dfu": "dfu-util",
    "uf2": "uf2",
    "picotool": "uf2",
    "stm32flash": "stm32flash",
}
REQUIRED = ("connected", "id", "platform", "product", "runner")
MAX_BYTES = 1 << 20
MAX_ENTRIES = 1000
# Where `id` isn't what tells the board, our key rides in `notes`, which Twister keeps.
_NOTE = re.compile(r"\b(usb_location|usb_serial)=(\S+)")


def export_map(boards: Mapping[str, Board], ports: Iterable[AttachedPort]) -> str:
    """The YAML of every board that is mapped or attached.

    Raises:
        PortError: two ports may be one board.
        UsageError: there is no PyYAML.
    """
    yaml, ports = _yaml(), list(ports)
    entries = []
    for board in boards.values():
        device = find_port(board, ports, boards.values())
        port = next((item for item in ports if device and item.is_at(device)), None)
        serial = board.usb_serial or (port.serial if port is not None else "")
        location = board.usb_location or (port.location if port is not None else "")
        if not (device or serial or location):
            continue
        entry: dict[str, Any] = {
            "connected": device is not None,
            "id": board.flash_serial or serial or location or "unknown",
            "platform": PLATFORMS.get(board.name, board.name),
            "product": (port.title if port is not None else "") or board.title,
            "runner": RUNNERS.get(board.flash_method, "unknown"),
            "baud": board.link_baud,
        }
        if device:
            entry["serial"] = device
        if location and (board.usb_location or not serial):
            entry["notes"] = f"usb_location={location}"
        elif serial and not board.usb_ids:
            entry["notes"] = f"usb_serial={serial}"
        entries.append(entry)
    return str(yaml.safe_dump(entries, default_flow_style=False))


def import_map(
    text: str, boards: Mapping[str, Board], ports: Iterable[AttachedPort]
) -> tuple[list[Proposal], list[str]]:
    """What a hardware map means for our sections, and a line for each entry that is left out.

    Raises:
        SettingsError: it is no hardware map; names entry and field.
        UsageError: there is no PyYAML.
    """
    ports = list(ports)
    proposals: dict[str, Proposal] = {}
    remarks = []
    for number, entry in enumerate(_entries(text), 1):
        name = _section(entry["platform"], boards)
        where = f"entry {number} ({entry['platform']})"
        if entry["connected"].casefold() not in ("true", "yes", "on"):
            remarks.append(f"{where}: not connected")
        elif name is None:
            remarks.append(f"{where}: no such board{nearest(entry['platform'], boards)}")
        elif name in proposals:
            remarks.append(f"{where}: {name} stands there twice; the first counts")
        elif keys := _keys(entry, boards[name], ports):
            proposals[name] = Proposal(name, keys, f"entry {number} of the hardware map")
        else:
            remarks.append(f"{where}: neither id nor serial says where it is")
    return list(proposals.values()), remarks


def _keys(entry: Mapping[str, str], board: Board, ports: list[AttachedPort]) -> dict[str, str]:
    """Where the board is, by what lasts: its serial number, its socket, and last its port."""
    keys: dict[str, str] = {}
    identity, device = entry["id"], entry.get("serial", "")
    port = next((item for item in ports if device and item.is_at(device)), None)
    note = _NOTE.search(entry.get("notes", ""))
    if note:
        keys[note[1]] = note[2]
    elif port is not None and port.serial and port.serial == identity:
        keys["usb_serial"] = identity
    elif port is not None and port.location:
        keys["usb_location"] = port.location
    elif board.usb_ids and identity not in ("", "unknown"):
        keys["usb_serial"] = identity
    elif device:
        keys["port"] = device
    if not keys:
        return {}
    # A Discovery's id is its ST-LINK's: the adapter on its pins has another.
    own = (*keys.values(), port.serial if port is not None else "", "", "unknown")
    if not board.usb_ids and identity not in own:
        keys["flash_serial"] = identity
    baud = entry.get("baud") or entry.get("serial_baud") or ""
    if baud and baud != str(board.link_baud):
        keys["link_baud"] = baud
    return keys


def _section(platform: str, boards: Mapping[str, Board]) -> str | None:
    """Our section for Zephyr's name of a board, without its qualifiers and revision."""
    base = re.split(r"[/@]", platform)[0]
    ours = {zephyr: name for name, zephyr in PLATFORMS.items()}
    return next((name for name in (base, ours.get(base, "")) if name in boards), None)


def _entries(text: str) -> list[dict[str, str]]:
    yaml = _yaml()
    if len(text) > MAX_BYTES:
        raise SettingsError(f"a hardware map of more than {MAX_BYTES:,} bytes: is it one?")
    try:
        # The loader that leaves every scalar as it is typed: 001050076605 is no number.
        found = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"not YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(found, list) or len(found) > MAX_ENTRIES:
        raise SettingsError("a hardware map is a list of boards (Twister's hwmap-schema.yaml)")
    entries = []
    for number, entry in enumerate(found, 1):
        if not isinstance(entry, dict):
            raise SettingsError(f"entry {number}: must have fields such as id and platform")
        # Several variants of one board share it: `platform: a b`, or a list.
        platform = entry.get("platform")
        names = platform if isinstance(platform, list) else str(platform or "").split()
        entry = entry | {"platform": names[0]} if names else entry
        for field in REQUIRED:
            if not isinstance(entry.get(field), str):
                raise SettingsError(f"entry {number}: the field {field!r} is missing or no text")
            if not entry[field].isprintable():
                raise SettingsError(f"entry {number}: the field {field!r} is not printable")
        entries.append({k: v.strip() for k, v in entry.items() if isinstance(v, str)})
    return entries


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise UsageError(
            "Twister's hardware map needs PyYAML: pip install 'miniml-pio[twister]'"
        ) from None
    return yaml
