"""Boards that wait in their boot loader: a USB device, and no serial port to find them by."""

from __future__ import annotations

from collections.abc import Iterable

from miniml.boards import Board
from miniml.hil.finding.usb_devices import RP2040_BOOT, STM32_DFU, UsbDevice, usb_devices

# What a board shows there, by flash_method.
LOADERS = {"dfu": STM32_DFU, "uf2": RP2040_BOOT, "picotool": RP2040_BOOT}


def is_told(board: Board) -> bool:
    """Whether the section tells this board's loader from others of its kind."""
    return bool(board.usb_location or board.flash_serial)


def waiting_loaders(
    board: Board, devices: Iterable[UsbDevice], boards: Iterable[Board]
) -> list[UsbDevice]:
    """The loaders that may be this board's: not those in a socket that the map gives to another."""
    found = [device for device in devices if device.usb_id == LOADERS.get(board.flash_method)]
    if board.usb_location:
        return [device for device in found if device.location == _socket(board)]
    if board.flash_serial:
        return [device for device in found if device.serial == board.flash_serial]
    taken = {_socket(other) for other in boards if other.name != board.name}
    return [device for device in found if device.location not in taken]


def loader_at(socket: str) -> bool:
    """Whether a board's loader is in a USB socket now."""
    return any(
        device.location == socket and device.usb_id in LOADERS.values() for device in usb_devices()
    )


def _socket(board: Board) -> str:
    return board.usb_location.partition(":")[0]
