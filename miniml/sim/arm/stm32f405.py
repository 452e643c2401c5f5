"""The STM32F405RG board: memories, clock tree, GPIO, USART1 and its ROM loader (RM0090)."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

from miniml.sim.arm import bit_band
from miniml.sim.arm.bit_band import BitBandBus
from miniml.sim.arm.board import Board, Power
from miniml.sim.arm.clock import Clock
from miniml.sim.arm.core import FIRST_INTERRUPT, Stop
from miniml.sim.arm.machine import ART_168_MHZ, Machine
from miniml.sim.arm.memory import Memory
from miniml.sim.arm.registers import Peripheral, PeripheralBus, RegisterFile, ready_follows
from miniml.sim.arm.rom_loader import RomLoader
from miniml.sim.arm.stm32_usart import BASE, Usart
from miniml.sim.arm.uart import Uart

FLASH, SRAM, CCM = 0x0800_0000, 0x2000_0000, 0x1000_0000
SYSTEM_MEMORY = 0x1FFF_0000  # 2.4: the ROM loader, then the unique id and the flash size
LOADER_STACK, LOADER_ENTRY = 0x2000_2D40, SYSTEM_MEMORY + 8
UNIQUE_ID, FLASH_SIZE = 0x1FFF_7A10, 0x1FFF_7A22
HSI_HZ, HSE_HZ = 16_000_000, 8_000_000
USART1_IRQ = 37
AHB_SHIFT = {8: 1, 9: 2, 10: 3, 11: 4, 12: 6, 13: 7, 14: 8, 15: 9}
APB_SHIFT = {4: 1, 5: 2, 6: 3, 7: 4}


class Rcc(RegisterFile):
    """Reset and clock control: ready bits follow at once, the rate follows the dividers."""

    CR, PLLCFGR, CFGR, BDCR, CSR = 0x00, 0x04, 0x08, 0x70, 0x74

    def __init__(self) -> None:
        """HSI running, nothing else."""
        super().__init__(
            reset={self.CR: 0x83, self.PLLCFGR: 0x2400_3010, self.CSR: 0x0E00_0000},
            follow={
                self.CR: ready_follows({0: 1, 16: 17, 24: 25, 26: 27}),
                self.CFGR: lambda value: value & ~0xC | (value & 3) << 2,
                self.BDCR: ready_follows({0: 1}),
                self.CSR: ready_follows({0: 1}),
            },
        )

    @property
    def core_hz(self) -> int:
        """HCLK."""
        source = self.values.get(self.CFGR, 0) & 3
        pll = self.values[self.PLLCFGR]
        if source == 2:
            base = HSE_HZ if pll >> 22 & 1 else HSI_HZ
            m, n, p = pll & 63, pll >> 6 & 511, (pll >> 16 & 3) * 2 + 2
            hz = base * n // (max(m, 1) * p)
        else:
            hz = HSE_HZ if source == 1 else HSI_HZ
        return hz >> AHB_SHIFT.get(self.values.get(self.CFGR, 0) >> 4 & 15, 0)

    @property
    def cycles_per_apb2_clock(self) -> int:
        """Core cycles per cycle of USART1's clock."""
        return 1 << APB_SHIFT.get(self.values.get(self.CFGR, 0) >> 13 & 7, 0)


class Gpio(RegisterFile):
    """One port: outputs read back, inputs read their pull-ups, BSRR sets and clears."""

    MODER, PUPDR, IDR, ODR, BSRR = 0x00, 0x0C, 0x10, 0x14, 0x18

    def read(self, offset: int) -> int:
        """IDR shows the pins."""
        if offset != self.IDR:
            return super().read(offset)
        pins = 0
        for pin in range(16):
            output = self.values.get(self.MODER, 0) >> 2 * pin & 3 == 1
            source = self.values.get(self.ODR, 0) >> pin & 1
            pull_up = self.values.get(self.PUPDR, 0) >> 2 * pin & 3 == 1
            pins |= (source if output else int(pull_up)) << pin
        return pins

    def write(self, offset: int, value: int) -> None:
        """BSRR acts on ODR."""
        if offset == self.BSRR:
            value = self.values.get(self.ODR, 0) & ~(value >> 16) | value & 0xFFFF
            offset = self.ODR
        super().write(offset, value)


class Stm32f405(Board):
    """A generic STM32F405RG with USART1 (PA9, PA10) on the port."""

    name = "stm32f405"

    def __init__(self, state: Path, realtime: bool) -> None:
        """Flash from the state folder; BOOT0 low."""
        super().__init__(state, realtime)
        self.flash = Memory("flash", [FLASH, 0], 1 << 20, writable=False, fill=0xFF)
        self.boot0 = False
        self.loader: RomLoader | None = None
        self.load_flash()

    def build(self) -> None:
        """Fresh SRAM and peripherals around the flash."""
        self._keep_flash()
        self.clock = Clock(HSI_HZ)
        self.uart = Uart(self, buffer=1)
        self.sram = Memory("SRAM", [SRAM], 128 << 10)
        self.ccm = Memory("CCM RAM", [CCM], 64 << 10)
        system = Memory("system memory", [SYSTEM_MEMORY], 32 << 10, writable=False)
        # The loader's vectors, and a breakpoint where it begins: the board plays it from there.
        system.load(struct.pack("<2IH", LOADER_STACK, LOADER_ENTRY | 1, 0xBE00), 0)
        # Twelve bytes that differ from board to board: of the state folder's name.
        unique = hashlib.sha256(str(self.state_dir.resolve()).encode()).digest()[:12]
        system.load(unique, UNIQUE_ID - SYSTEM_MEMORY)
        system.load((1024).to_bytes(2, "little"), FLASH_SIZE - SYSTEM_MEMORY)
        self.rcc = Rcc()
        self.usart = Usart(self.uart, lambda: self.rcc.cycles_per_apb2_clock, self._usart_line)
        peripherals: dict[int, Peripheral] = {
            0x4000_7000: RegisterFile(follow={4: lambda value: value | 1 << 14 | 3 << 16}),  # PWR
            BASE: self.usart,
            0x4002_3800: self.rcc,
            0x4002_3C00: RegisterFile(reset={0x10: 1 << 31}),  # FLASH: ACR reads back, not busy
            0xE004_2000: RegisterFile(reset={0: 0x1007_6413}),  # DBGMCU: F405 revision Y
        }
        for port in range(9):
            peripherals[0x4002_0000 + 0x400 * port] = Gpio()
        self.machine = Machine(
            "cortex-m4",
            [self.flash, self.sram, self.ccm, system],
            BitBandBus(_RccWatch(PeripheralBus(peripherals, 0x400), self), self.sram),
            [(0x4000_0000, 0x8_0000), (0x5000_0000, 0x6_1000), *bit_band.WINDOWS],
            flash=ART_168_MHZ if self.as_shipped else None,
        )

    def boot(self) -> None:
        """BOOT0 decides between the flash and the ROM loader."""
        if self.port is None:
            self.open_port()
        if self.boot0:
            self._enter_loader()
        else:
            self._go(FLASH)

    def _enter_loader(self) -> None:
        self.power = Power.LOADER
        self.loader = RomLoader(self.flash, [self.flash, self.sram, self.ccm])
        self.log("ROM loader")

    def _crash(self, stop: Stop) -> None:
        assert self.machine is not None
        if stop != Stop.BREAKPOINT or self.machine.register(15) != LOADER_ENTRY:
            super()._crash(stop)
        elif left := self._left_over():
            self.power = Power.CRASHED
            self.reason = f"the ROM loader was started with {left}"
            self.log(self.reason)
        else:
            self._enter_loader()

    def _left_over(self) -> str:
        """What a program that starts the ROM loader must not leave behind (AN2606, 3.2)."""
        assert self.machine is not None
        core = self.machine.core
        if core.systick_control & 1:
            return "SysTick running"
        if any(core.enabled[FIRST_INTERRUPT:]) or any(core.pending[FIRST_INTERRUPT:]):
            return "interrupts enabled or pending"
        if self.clock.hz != HSI_HZ:
            return f"a clock of {self.clock.hz} Hz"
        return ""

    def _go(self, address: int) -> None:
        assert self.machine is not None
        self.loader = None
        self.power = Power.RUNNING
        self.machine.reset(address)

    def _keep_flash(self) -> None:
        if self.loader and self.loader.changed:
            self.save_flash()
            self.loader.changed = False

    def clock_changed(self) -> None:
        """RCC was written."""
        self.clock.change(self.rcc.core_hz, self.now())

    def _usart_line(self, level: bool) -> None:
        if self.machine:
            core = self.machine.core
            core.level[FIRST_INTERRUPT + USART1_IRQ] = level
            if level and not core.active[FIRST_INTERRUPT + USART1_IRQ]:
                core.pending[FIRST_INTERRUPT + USART1_IRQ] = 1
            core.wake = 0

    def serve_loader(self, content: bytes) -> None:
        """AN3155's answers; Go starts the firmware."""
        if self.loader and self.port:
            self.port.write(self.loader.feed(content))
            if self.loader.go is not None:
                address = self.loader.go
                self._keep_flash()
                # What was run or translated before the flash changed is gone with it.
                sram = bytes(self.sram.content)
                self.start_at(address, sram)

    def start_at(self, address: int, sram: bytes) -> None:
        """Go: run from an address with a fresh machine that keeps the SRAM."""
        if self.machine:
            self.machine.close()
        self.build()
        self.sram.load(sram)
        self.log(f"go {address:#010x}")
        self._go(address)

    def shut_down(self) -> None:
        """Keep what the loader wrote."""
        self._keep_flash()
        super().shut_down()

    def chip_command(self, words: list[str]) -> dict[str, Any]:
        """`boot0 0|1`: takes effect at the next reset."""
        if words[0] == "boot0" and words[1:] in (["0"], ["1"]):
            self.boot0 = words[1] == "1"
            return {"ok": True}
        return super().chip_command(words)

    def status(self) -> dict[str, Any]:
        """With BOOT0."""
        return super().status() | {"boot0": int(self.boot0)}


class _RccWatch:
    """The bus, telling the board when a write may have changed the clocks."""

    def __init__(self, bus: PeripheralBus, board: Stm32f405) -> None:
        self.read = bus.read
        self._bus = bus
        self._board = board

    def write(self, address: int, size: int, value: int) -> None:
        self._bus.write(address, size, value)
        if address & ~0x3FF == 0x4002_3800:
            self._board.clock_changed()
