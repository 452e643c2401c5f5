"""The JSON files that make PlatformIO take the kit's folders for its official packages.

Board facts are those of the official board files (platform-atmelavr 5.2.0, -ststm32 19.6.0,
-raspberrypi 1.19.0). Versions carry `+miniml`, so that `pio run` and `pio pkg list` tell the
kit from the official packages; build metadata does not take part in version matching.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MARK = "miniml"
TITLE_SUFFIX = " (MiniML offline kit)"
Json = dict[str, Any]


@dataclass(frozen=True)
class Platform:
    """A platform of the kit: official name and version, and what it is made of."""

    name: str
    title: str
    version: str
    compiler: str
    toolchain: str
    framework: str
    core: str | None  # folder under cores/ of an ARM chip; None: the system's AVR core
    uploader: str
    boards: dict[str, Json] = field(default_factory=dict)


def _avr_board(name: str, macro: str, variant: str, flash: int, speed: int) -> Json:
    return {
        "build": {
            "core": "arduino",
            "extra_flags": f"-D{macro}",
            "f_cpu": "16000000L",
            "mcu": "atmega328p",
            "variant": variant,
        },
        "frameworks": ["arduino"],
        "name": name,
        "upload": {
            "maximum_ram_size": 2048,
            "maximum_size": flash,
            "protocol": "arduino",
            "require_upload_port": True,
            "speed": speed,
        },
        "url": "https://docs.arduino.cc/hardware/",
        "vendor": "Arduino",
    }


_F405 = {
    "build": {
        "core": "stm32",
        "cpu": "cortex-m4",
        "extra_flags": "-DSTM32F4 -DSTM32F405xx -DSTM32F4xx",
        "f_cpu": "168000000L",
        "mcu": "stm32f405rgt6",
        "product_line": "STM32F405xx",
        "variant": "STM32F4xx/F405RGT_F415RGT",
    },
    "frameworks": ["arduino"],
    "name": "STM32F405RG (128k RAM. 1024k Flash)",
    "upload": {
        "maximum_ram_size": 131072,
        "maximum_size": 1048576,
        "protocol": "serial",
        "protocols": ["serial"],
    },
    "url": "https://www.st.com/en/microcontrollers-microprocessors/stm32f405rg.html",
    "vendor": "Generic",
}

_PICO = {
    "build": {
        "core": "arduino",
        "cpu": "cortex-m0plus",
        "extra_flags": "-DARDUINO_RASPBERRY_PI_PICO",
        "f_cpu": "133000000L",
        "hwids": [["0x2E8A", "0x00C0"]],
        "mcu": "rp2040",
        "variant": "RASPBERRY_PI_PICO",
    },
    "frameworks": ["arduino"],
    "name": "Raspberry Pi Pico",
    "upload": {
        "maximum_ram_size": 270336,
        "maximum_size": 2097152,
        "native_usb": True,
        "protocol": "picotool",
        "protocols": ["picotool"],
        "require_upload_port": True,
        "use_1200bps_touch": True,
        "wait_for_upload_port": False,
    },
    "url": "https://www.raspberrypi.org/products/raspberry-pi-pico/",
    "vendor": "Raspberry Pi",
}

PLATFORMS = (
    Platform(
        name="atmelavr",
        title="Atmel AVR",
        version="5.2.0",
        compiler="avr-gcc",
        toolchain="toolchain-atmelavr",
        framework="framework-arduino-avr",
        core=None,
        uploader="tool-avrdude",
        boards={
            "uno": _avr_board("Arduino Uno", "ARDUINO_AVR_UNO", "standard", 32256, 115200),
            "nanoatmega328": _avr_board(
                "Arduino Nano ATmega328", "ARDUINO_AVR_NANO", "eightanaloginputs", 30720, 57600
            ),
            "nanoatmega328new": _avr_board(
                "Arduino Nano ATmega328 (New Bootloader)",
                "ARDUINO_AVR_NANO",
                "eightanaloginputs",
                30720,
                115200,
            ),
        },
    ),
    Platform(
        name="ststm32",
        title="ST STM32",
        version="19.6.0",
        compiler="arm-none-eabi-gcc",
        toolchain="toolchain-gccarmnoneeabi",
        framework="framework-arduinoststm32",
        core="stm32f405",
        uploader="tool-stm32flash",
        boards={"genericSTM32F405RG": _F405},
    ),
    Platform(
        name="raspberrypi",
        title="Raspberry Pi RP2040",
        version="1.19.0",
        compiler="arm-none-eabi-gcc",
        toolchain="toolchain-gccarmnoneeabi",
        framework="framework-arduino-mbed",
        core="rp2040",
        uploader="tool-rp2040tools",
        boards={"pico": _PICO},
    ),
)


def platform_json(platform: Platform) -> Json:
    """`platform.json` of one platform."""
    any_version = {"owner": "platformio", "version": "*"}
    return {
        "name": platform.name,
        "title": platform.title + TITLE_SUFFIX,
        "description": "Made from this machine's compilers by MiniML, for simulated boards.",
        "version": f"{platform.version}+{MARK}",
        "engines": {"platformio": "^6"},
        "frameworks": {
            "arduino": {"package": platform.framework, "script": "builder/arduino.py"},
        },
        "packages": {
            platform.toolchain: {"type": "toolchain", **any_version},
            platform.framework: {"type": "framework", "optional": True, **any_version},
            platform.uploader: {"type": "uploader", "optional": True, **any_version},
        },
    }


def package_json(name: str, version: str) -> Json:
    """`package.json` of a tool, toolchain or framework."""
    return {
        "name": name,
        "version": version,
        "description": "Part of the MiniML offline kit.",
        "system": "*",
    }


def piopm(kind: str, name: str, version: str) -> Json:
    """`.piopm`: says that the package was installed, from where, and keeps updates away."""
    return {
        "type": kind,
        "name": name,
        "version": version,
        "spec": {
            "owner": "platformio",
            "id": None,
            "name": name,
            "requirements": None,
            "uri": f"file://{MARK}-offline-kit/{name}",
        },
    }


def appstate(pio_version: str) -> Json:
    """`appstate.json`: no upgrade check, no telemetry, no welcome text."""
    return {
        "last_version": pio_version,
        "settings": {"check_platformio_interval": 36500, "enable_telemetry": False},
    }
