"""The keys of boards.ini and what reads each; docs/BOARDS.md describes them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date

CORES = ("avr", "cortex-m4", "cortex-m0plus")
MODES = ("int8", "native", "cmsis_nn", "float32", "avr_hybrid", "avr_hybrid_literal")
RESETS = ("dtr", "none", "touch1200", "verb")
FLASH_METHODS = ("avrdude", "stm32flash", "stlink", "dfu", "uf2", "picotool", "pio")
SIMULATORS = ("atmega328p", "stm32f405", "rp2040")
BOOTLOADERS = ("optiboot", "atmegaboot")
MAX_REASON = 200
LAB_IMAGES = ("hex", "bin", "uf2", "elf")


def nearest(name: str, valid: Iterable[str]) -> str:
    """A question that names the most similar valid name; empty if none is near."""
    close = difflib.get_close_matches(name, list(valid), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _text(value: str) -> str:
    return value


def _identifier(value: str) -> str:
    # A C++ expression such as Serial1 goes into the generated header as it is.
    if not re.fullmatch(r"[A-Za-z_]\w*", value):
        raise ValueError("must be the name of an Arduino stream, such as Serial")
    return value


def _integer(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]+", value) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return read


def _choice(valid: Iterable[str]) -> Callable[[str], str]:
    names = tuple(valid)

    def read(value: str) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}{nearest(value, names)}")
        return value

    return read


def _level(value: str) -> bool:
    if value not in ("on", "off"):
        raise ValueError("must be on or off")
    return value == "on"


def _usb_ids(value: str) -> tuple[tuple[int, int], ...]:
    found = []
    for word in value.split():
        match = re.fullmatch(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})", word)
        if match is None:
            raise ValueError(f"must be vendor:product in hex, such as 2341:0043, not {word!r}")
        found.append((int(match[1], 16), int(match[2], 16)))
    return tuple(found)


def _device_text(value: str) -> str:
    # What a USB string descriptor can hold, as attached_ports shows it.
    if not re.fullmatch(r"[ -~]{0,126}", value):
        raise ValueError("must be at most 126 printable ASCII characters")
    return value


def _location(value: str) -> str:
    if not re.fullmatch(
        r"([0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}(:[0-9x]\.[0-9]{1,2})?)?", value
    ):
        raise ValueError("must be a USB location, such as 1-1.4 (miniml boards scan shows it)")
    return value


def _sequence(value: str) -> str:
    if not re.fullmatch(r"[-a-z0-9,&:]*", value):
        raise ValueError("must be an argument of stm32flash -i, such as rts,-dtr,dtr")
    return value


def _power(value: str) -> str:
    # A hub's location as uhubctl prints it: bus, then ports; USB allows seven levels.
    if value and not re.fullmatch(r"uhubctl:[0-9]+(-[0-9]+(\.[0-9]+){0,5})?:[0-9]+", value):
        raise ValueError("must be uhubctl:HUB:PORT, such as uhubctl:1-1:2")
    return value


def _reason(value: str) -> str:
    if not value.isprintable() or len(value) > MAX_REASON:
        raise ValueError(f"must be one line of at most {MAX_REASON} characters")
    return value


def _date(value: str) -> date | None:
    if not value:
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("must be a date such as 2026-12-31")
    return date.fromisoformat(value)


def _resource(value: str) -> str:
    if not re.fullmatch(r"(labgrid:[^@\s/]+(@[^@\s/]+)?)?", value):
        raise ValueError("must be labgrid:PLACE or labgrid:PLACE@COORDINATOR[:PORT]")
    return value


def _lab_flash(value: str) -> str:
    unknown = set(re.findall(r"{(\w*)}", value)) - {*LAB_IMAGES, "port", "baud"}
    images = [name for name in LAB_IMAGES if f"{{{name}}}" in value]
    if value and (unknown or len(images) != 1):
        raise ValueError(
            "must be a command with one of {hex}, {bin}, {uf2}, {elf}, and {port}, {baud} if needed"
        )
    return value


# What reads each key. Ranges: sram of an ATtiny to flash of a large MCU; baud rates that
# a serial port can be asked for.
READERS: Mapping[str, Callable[[str], object]] = {
    "title": _text,
    "core": _choice(CORES),
    "mode": _choice(MODES),
    "clock_hz": _integer(1_000_000, 1_000_000_000),
    "flash_bytes": _integer(1024, 1 << 28),
    "sram_bytes": _integer(128, 1 << 26),
    "link_stream": _identifier,
    "link_baud": _integer(1200, 4_000_000),
    "reset": _choice(RESETS),
    "reset_settle_ms": _integer(0, 30_000),
    "port_dtr": _level,
    "port_rts": _level,
    "flash_method": _choice(FLASH_METHODS),
    "flash_baud": _integer(1200, 4_000_000),
    "flash_baud_fallback": _integer(1200, 4_000_000),
    "flash_parity": _choice(("8e1", "8n1", "8o1")),
    "flash_sequence": _sequence,
    "flash_serial": _device_text,
    "power": _power,
    "retries": _integer(0, 10),
    "usb_ids": _usb_ids,
    "port": _text,
    "usb_serial": _device_text,
    "usb_location": _location,
    "quarantine": _reason,
    "quarantine_until": _date,
    "resource": _resource,
    "lab_flash": _lab_flash,
    "simulated": _choice(("", "yes", "no")),
    "simulator": _choice(("", *SIMULATORS)),
    "simulator_bootloader": _choice(("", *BOOTLOADERS)),
}
REQUIRED = (
    "title",
    "core",
    "mode",
    "clock_hz",
    "flash_bytes",
    "sram_bytes",
    "link_stream",
    "link_baud",
    "reset",
    "flash_method",
)
