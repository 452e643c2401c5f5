"""USB devices without a serial port: ST-LINKs and boot loaders, as Linux' sysfs lists them.

Elsewhere the list is empty, and the section has to name the device (`flash_serial`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from miniml.hil.finding.attached import harmless

SYSFS = Path("/sys/bus/usb/devices")
# ST's vendor id; products of ST-LINK/V2, V2-1 and V3 (OpenOCD 0.12, stlink_usb.c).
ST = 0x0483
ST_LINKS = (0x3744, 0x3748, 0x374A, 0x374B, 0x374D, 0x374E, 0x374F, 0x3752, 0x3753, 0x3754, 0x3757)
# The STM32's ROM loader (AN2606, AN3156), and the RP2040's (datasheet, 2.8.1).
STM32_DFU = (ST, 0xDF11)
RP2040_BOOT = (0x2E8A, 0x0003)
# A program's own serial port by the official STM32 core (its USBD_VID and USBD_PID).
STM32_CDC = (ST, 0x5740)
NAMES = {
    STM32_DFU: "STM32 in its DFU loader",
    RP2040_BOOT: "RP2040 in BOOTSEL",
    **{(ST, product): "ST-LINK" for product in ST_LINKS},
}


@dataclass(frozen=True)
class UsbDevice:
    """A USB device.

    Attributes:
        usb_id: (vendor, product).
        serial: its serial number; may be empty, and for an RP2040's loader says nothing.
        location: bus and ports, such as "1-1.2".
        bus, address: as libusb and `lsusb` count; the address changes at every reset.
    """

    usb_id: tuple[int, int]
    serial: str
    location: str
    bus: int
    address: int

    @property
    def node(self) -> str:
        """The file by which libusb opens it."""
        return f"/dev/bus/usb/{self.bus:03d}/{self.address:03d}"

    def __str__(self) -> str:
        """Such as `RP2040 in BOOTSEL (2e8a:0003, USB socket 1-1.4, serial number E0C9125B0D9B)`."""
        vendor, product = self.usb_id
        name = NAMES.get(self.usb_id, "USB device")
        serial = f"serial number {self.serial}" if self.serial else "no serial number"
        return f"{name} ({vendor:04x}:{product:04x}, USB socket {self.location}, {serial})"


def usb_devices(root: Path = SYSFS) -> list[UsbDevice]:
    """Every USB device of this machine, by location."""
    found = []
    for folder in sorted(root.glob("[0-9]*-[0-9]*")):
        if ":" in folder.name:  # an interface of a device
            continue
        try:
            usb_id = (int(_text(folder, "idVendor"), 16), int(_text(folder, "idProduct"), 16))
            bus, address = int(_text(folder, "busnum")), int(_text(folder, "devnum"))
        except (OSError, ValueError):  # it is being unplugged
            continue
        try:
            serial = _text(folder, "serial")
        except OSError:
            serial = ""
        found.append(UsbDevice(usb_id, serial, folder.name, bus, address))
    return found


def _text(folder: Path, name: str) -> str:
    return harmless((folder / name).read_text(encoding="utf-8", errors="replace").strip())
