"""The Raspberry Pi Pico: memories, boot ROM's behaviour, BOOTSEL and UART0 (RP2040 datasheet).

Its port has the habits of a Pico's USB: opening resets nothing, 1200 baud asks for
BOOTSEL, the port vanishes and returns under another name.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from miniml.sim.arm.board import Board, Power
from miniml.sim.arm.bootrom import ROM_BYTES, USB_BOOT, rom_content
from miniml.sim.arm.clock import Clock
from miniml.sim.arm.core import FIRST_INTERRUPT, Stop
from miniml.sim.arm.machine import XIP_125_MHZ, Machine
from miniml.sim.arm.memory import Memory
from miniml.sim.arm.registers import Peripheral, RegisterFile
from miniml.sim.arm.rp2040_blocks import (
    ROSC_HZ,
    Aliased,
    Clocks,
    Pll,
    Sio,
    Ssi,
    Timer,
    crystal,
    resets,
)
from miniml.sim.arm.rp2040_uart import BASE, Pl011
from miniml.sim.arm.uart import Uart
from miniml.sim.arm.uf2_drive import Uf2Drive, Uf2Error, parse_uf2

FLASH, SRAM = 0x1000_0000, 0x2000_0000
FLASH_BYTES, SRAM_BYTES = 2 << 20, 264 << 10
BOOT2_BYTES = 256
BOOT2_RUNS_AT = 0x2004_1F00  # 2.8.1.3: the end of SRAM5
UART0_IRQ = 20
DRIVE_DELAY_SECONDS = 0.5
RETURN_DELAY_SECONDS = 1.0
RESTART_DELAY_SECONDS = 0.5
WATCHDOG_TRIGGER = 1 << 31


def boot2_checksum(content: bytes) -> int:
    """CRC-32/MPEG-2 (polynomial 0x04C11DB7, start all ones, not reflected), datasheet 2.8.1.3.1."""
    crc = 0xFFFF_FFFF
    for byte in content:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C1_1DB7 if crc >> 31 else crc << 1) & 0xFFFF_FFFF
    return crc


class Rp2040(Board):
    """A Raspberry Pi Pico whose `Serial` is UART0 (GP0, GP1) on the port."""

    name = "rp2040"

    def __init__(self, state: Path, realtime: bool) -> None:
        """Flash from the state folder."""
        super().__init__(state, realtime)
        aliases = [FLASH, 0x1100_0000, 0x1200_0000, 0x1300_0000]  # 2.6.3: four cache policies
        self.flash = Memory("flash", aliases, FLASH_BYTES, writable=False, fill=0xFF)
        self.rom = Memory("boot ROM", [0], ROM_BYTES, writable=False)
        self.rom.load(rom_content())
        self.drive: Uf2Drive | None = None
        self.watchdog_reset = False
        self._drive_due = 0.0
        self._return_due = 0.0
        self.load_flash()

    def build(self) -> None:
        """Fresh SRAM and peripherals around the flash."""
        self.clock = Clock(ROSC_HZ)
        self.uart = Uart(self, buffer=1)
        self.sram = Memory("SRAM", [SRAM], SRAM_BYTES)
        self.pll = Pll()
        self.clocks = Clocks(lambda: self.pll.hz)
        self.pl011 = Pl011(
            self.uart,
            lambda: self.clocks.system_hz / self.clocks.peripheral_hz,
            self._uart_line,
        )
        self.watchdog = RegisterFile(written=self._watchdog_written)
        peripherals: dict[int, Peripheral] = {
            0x1800_0000: Ssi(),
            0x4000_0000: RegisterFile(reset={0: 0x2000_2927, 4: 2}),  # SYSINFO: RP2040 B2, ASIC
            0x4000_8000: self.clocks,
            0x4000_C000: resets(),
            0x4002_4000: crystal(),
            0x4002_8000: self.pll,
            0x4002_C000: Pll(),
            BASE: self.pl011,
            0x4005_4000: Timer(lambda: self.clock.microseconds(self.now())),
            0x4005_8000: self.watchdog,
            0x4006_0000: RegisterFile(reset={0x18: 1 << 31}),  # ROSC: stable
            0xD000_0000: Sio(),
        }
        self.machine = Machine(
            "cortex-m0plus",
            [self.rom, self.flash, self.sram],
            Aliased(peripherals, self._written),
            [
                (0x1400_0000, 0x1000),  # XIP control
                (0x1800_0000, 0x4000),
                (0x4000_0000, 0x7_0000),
                (0x5000_0000, 0x40_0000),
                (0xD000_0000, 0x1000),
            ],
            flash=XIP_125_MHZ if self.as_shipped else None,
        )

    def boot(self) -> None:
        """What the ROM does: check boot2, copy it to SRAM, run it; else BOOTSEL."""
        assert self.machine is not None
        boot2 = self.flash.content[:BOOT2_BYTES]
        wanted = int.from_bytes(boot2[252:], "little")
        if boot2_checksum(boot2[:252]) != wanted:
            self.log("boot2 has a wrong checksum: staying in BOOTSEL")
            self._enter_bootsel()
            return
        if self.port is None:
            self.open_port()
        machine = self.machine
        machine.reset(0)
        machine.write(BOOT2_RUNS_AT, boot2)
        machine.set_register(13, BOOT2_RUNS_AT)
        machine.set_register(14, 0)  # 2.8.1.3: boot2 goes on to the image when LR is 0
        machine.set_register(15, BOOT2_RUNS_AT)

    # ---- BOOTSEL ----

    def _enter_bootsel(self) -> None:
        self.power = Power.LOADER
        self.close_port()
        self._drive_due = time.monotonic() + DRIVE_DELAY_SECONDS
        self._return_due = 0.0

    def _crash(self, stop: Stop) -> None:
        assert self.machine is not None
        if stop == Stop.BREAKPOINT and self.machine.register(15) == USB_BOOT:
            self.log("the firmware asks for BOOTSEL")
            self._enter_bootsel()
        else:
            super()._crash(stop)

    def poll_loader(self) -> None:
        """Show the drive after a while, take a UF2, come back after a while."""
        now = time.monotonic()
        if self._return_due:
            if now >= self._return_due:
                self._return_due = 0.0
                self.start()
        elif self.drive is None:
            if now >= self._drive_due:
                self.drive = Uf2Drive(self.state_dir / "RPI-RP2")
                self.log(f"ready {self.state_dir / 'RPI-RP2'}")
        elif found := self.drive.complete_file():
            self._program(*found)

    def _program(self, path: Path, content: bytes) -> None:
        try:
            pages = parse_uf2(content, FLASH, FLASH_BYTES)
        except Uf2Error as error:
            self.log(f"refused {path.name}: {error}")
            return
        for offset, page in pages.items():
            sector = offset & ~0xFFF
            if sector == offset:
                self.flash.load(b"\xff" * 4096, sector)
            self.flash.load(page, offset)
        self.save_flash()
        self.log(f"programmed {len(pages)} pages from {path.name}")
        self._eject()
        self._return_due = time.monotonic() + RETURN_DELAY_SECONDS

    def _eject(self) -> None:
        if self.drive:
            self.drive.eject()
            self.drive = None

    def start(self) -> None:
        """A reset also ends BOOTSEL."""
        self._eject()
        super().start()

    def firmware_reset(self) -> None:
        """Its USB leaves with the chip, and comes back when the core has started."""
        self.power = Power.LOADER
        self.close_port()
        self._return_due = time.monotonic() + RESTART_DELAY_SECONDS

    def _step(self) -> float:
        if self.power == Power.RUNNING and self.port and self.port.touched:
            self.log("1200 baud: entering BOOTSEL")
            self._enter_bootsel()
        return super()._step()

    def shut_down(self) -> None:
        """The drive goes with the board."""
        self._eject()
        super().shut_down()

    # ---- chip ----

    def _written(self, base: int) -> None:
        if base in (0x4000_8000, 0x4002_8000):
            self.clock.change(self.clocks.system_hz, self.now())
            if self.machine:
                reference = max(1, round(self.clock.hz / 1_000_000))
                self.machine.core.external_reference_cycles = reference

    def _watchdog_written(self, offset: int, value: int) -> None:
        if offset == 0 and value & WATCHDOG_TRIGGER and self.machine:
            self.machine.core.reset_request = 1
            self.machine.core.wake = 0

    def _uart_line(self, level: bool) -> None:
        if self.machine:
            core = self.machine.core
            core.level[FIRST_INTERRUPT + UART0_IRQ] = level
            if level and not core.active[FIRST_INTERRUPT + UART0_IRQ]:
                core.pending[FIRST_INTERRUPT + UART0_IRQ] = 1
            core.wake = 0

    def chip_command(self, words: list[str]) -> dict[str, Any]:
        """`bootsel`: the button held through a reset."""
        if words == ["bootsel"]:
            self._enter_bootsel()
            return {"ok": True}
        return super().chip_command(words)

    def status(self) -> dict[str, Any]:
        """With the drive's path while it is there."""
        drive = str(self.state_dir / "RPI-RP2") if self.drive else None
        return super().status() | {"drive": drive}
