"""What pyserial's list_ports says on Linux of boards that people own: its own class, filled in
as SysFS does from the descriptors (vid, pid, serial, location, product) that each board has."""

from __future__ import annotations

from serial.tools.list_ports_common import ListPortInfo

from miniml.hil.finding.attached import AttachedPort, from_pyserial


def listed(
    device: str, ids: str, location: str, serial: str | None, maker: str, product: str
) -> ListPortInfo:
    """A port as `list_ports.comports` returns it."""
    port = ListPortInfo(device, skip_link_detection=True)
    port.vid, port.pid = (int(part, 16) for part in ids.split(":"))
    port.location, port.serial_number = location, serial
    port.manufacturer, port.product = maker, product
    port.apply_usb_info()
    return port


def attached(*ports: ListPortInfo) -> list[AttachedPort]:
    """As `attached_ports` gives them."""
    return [from_pyserial(port) for port in ports]


def uno(
    device: str = "/dev/ttyACM0", location: str = "1-1.1", serial: str = "5573932373735161A0A1"
) -> ListPortInfo:
    """An official Uno R3: an ATmega16U2 with a serial number; two interfaces."""
    return listed(device, "2341:0043", f"{location}:1.0", serial, "Arduino (www.arduino.cc)", "Uno")


def ch340(device: str = "/dev/ttyUSB0", location: str = "1-1.2") -> ListPortInfo:
    """A clone's CH340G: no serial number, one interface."""
    return listed(device, "1a86:7523", location, None, "", "USB2.0-Serial")


def st_link(
    device: str = "/dev/ttyACM1",
    location: str = "1-1.3",
    serial: str = "066DFF485550755187121723",
) -> ListPortInfo:
    """The ST-LINK/V2-1 of a Nucleo: its port is interface 2, behind debug and mass storage."""
    return listed(
        device, "0483:374b", f"{location}:1.2", serial, "STMicroelectronics", "STM32 STLink"
    )


def pico(
    device: str = "/dev/ttyACM2", location: str = "1-1.4", serial: str = "E6616407E3646B29"
) -> ListPortInfo:
    """A Pico with the official core: CDC, its flash's serial number."""
    return listed(device, "2e8a:00c0", f"{location}:1.0", serial, "Arduino", "RaspberryPi Pico")
