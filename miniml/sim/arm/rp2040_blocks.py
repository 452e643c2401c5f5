"""RP2040 blocks that firmware touches on its way up: clocks, resets, SIO, timer, SSI."""

from __future__ import annotations

from collections.abc import Callable

from miniml.sim.arm.registers import Peripheral, RegisterFile

XOSC_HZ = 12_000_000
# Datasheet 2.17: between 1.8 and 12 MHz, typically 6.5 after reset
ROSC_HZ = 6_500_000
SET, CLEAR, XOR = 2, 3, 1


class Aliased:
    """The bus with the atomic aliases of 2.1.2: +0x1000 xor, +0x2000 set, +0x3000 clear.

    Args:
        peripherals: by base address.
        written: called after each write with its base address.
    """

    def __init__(self, peripherals: dict[int, Peripheral], written: Callable[[int], None]) -> None:
        """Hold them by base."""
        self._peripherals = peripherals
        self._written = written

    def _find(self, address: int) -> tuple[Peripheral, int]:
        base = address & 0xFFFF_C000 if address < 0xD000_0000 else 0xD000_0000
        peripheral = self._peripherals.get(base)
        if peripheral is None:
            peripheral = self._peripherals[base] = RegisterFile()
        return peripheral, address & (0xFFC if address < 0xD000_0000 else 0x1FC)

    def read(self, address: int, size: int) -> int:
        """1, 2 or 4 bytes; every alias reads alike."""
        peripheral, offset = self._find(address)
        return peripheral.read(offset) >> (address & 3) * 8 & (1 << size * 8) - 1

    def write(self, address: int, size: int, value: int) -> None:
        """A narrow store is seen replicated over the word, as on the chip (2.1.4)."""
        peripheral, offset = self._find(address)
        if size == 1:
            value = (value & 0xFF) * 0x0101_0101
        elif size == 2:
            value = (value & 0xFFFF) * 0x0001_0001
        alias = address >> 12 & 3 if address < 0xD000_0000 else 0
        if alias:
            old = peripheral.read(offset)
            value = {XOR: old ^ value, SET: old | value, CLEAR: old & ~value}[alias]
        peripheral.write(offset, value & 0xFFFF_FFFF)
        self._written(address & 0xFFFF_C000)


class Clocks(RegisterFile):
    """CLOCKS (2.15.7): the glitchless selections follow at once."""

    REF_CTRL, REF_SELECTED, SYS_CTRL, SYS_DIV, SYS_SELECTED = 0x30, 0x38, 0x3C, 0x40, 0x44
    PERI_CTRL = 0x48

    def __init__(self, pll_hz: Callable[[], int]) -> None:
        """Everything on the ring oscillator."""
        super().__init__(
            reset={self.REF_CTRL + 4: 0x100, self.SYS_DIV: 0x100},
            follow={
                self.REF_SELECTED: lambda _: 1 << (self.values.get(self.REF_CTRL, 0) & 3),
                self.SYS_SELECTED: lambda _: 1 << (self.values.get(self.SYS_CTRL, 0) & 1),
            },
        )
        for offset in (0x08, 0x14, 0x20, 0x2C, 0x50, 0x5C, 0x68, 0x74):
            self.values[offset] = 1  # the other generators' SELECTED
        self._pll_hz = pll_hz

    @property
    def reference_hz(self) -> int:
        """clk_ref."""
        source = self.values.get(self.REF_CTRL, 0) & 3
        return XOSC_HZ if source == 2 else ROSC_HZ

    @property
    def system_hz(self) -> int:
        """clk_sys, which the core runs on."""
        control = self.values.get(self.SYS_CTRL, 0)
        if not control & 1:
            hz = self.reference_hz
        else:
            source = control >> 5 & 7
            hz = {0: self._pll_hz(), 2: ROSC_HZ, 3: XOSC_HZ}.get(source, self._pll_hz())
        return max(1, hz * 256 // max(self.values.get(self.SYS_DIV, 0x100), 1))

    @property
    def peripheral_hz(self) -> int:
        """clk_peri, which the UARTs run on."""
        source = self.values.get(self.PERI_CTRL, 0) >> 5 & 7
        return {0: self.system_hz, 1: self._pll_hz(), 3: ROSC_HZ, 4: XOSC_HZ}.get(
            source, self.system_hz
        )


class Pll(RegisterFile):
    """PLL_SYS (2.18.4): locked once powered and fed."""

    CS, PWR, FBDIV, PRIM = 0x0, 0x4, 0x8, 0xC

    def __init__(self) -> None:
        """Powered down."""
        super().__init__(
            reset={self.CS: 1, self.PWR: 0x2D, self.PRIM: 0x77000},
            follow={self.CS: self._lock},
        )

    def _lock(self, value: int) -> int:
        powered = not self.values[self.PWR] & 0x21
        return value & 0x7FFF_FFFF | (1 << 31 if powered else 0)

    @property
    def hz(self) -> int:
        """The output rate."""
        divider = self.values.get(self.CS, 1) & 63
        post = self.values[self.PRIM]
        vco = XOSC_HZ // max(divider, 1) * self.values.get(self.FBDIV, 0)
        return max(1, vco // max((post >> 16 & 7) * (post >> 12 & 7), 1))


def resets() -> RegisterFile:
    """RESETS (2.14.3): what is taken out of reset is done at once."""
    block = RegisterFile(reset={0: 0x01FF_FFFF})
    block._follow = {8: lambda _: ~block.values[0] & 0x01FF_FFFF}
    return block


def crystal() -> RegisterFile:
    """XOSC (2.16.7): stable once enabled (0xFAB in CTRL)."""
    block = RegisterFile()
    block._follow = {
        4: lambda _: 0x8000_1000 if block.values.get(0, 0) >> 12 == 0xFAB else 0,
    }
    return block


class Timer(RegisterFile):
    """TIMER (4.6.5): 64 bits of microseconds; the alarms are not there.

    Args:
        microseconds: of simulated time.
    """

    def __init__(self, microseconds: Callable[[], int]) -> None:
        """Counts from power-up."""
        super().__init__()
        self._microseconds = microseconds
        self._high = 0

    def read(self, offset: int) -> int:
        """TIMELR latches TIMEHR; TIMERAWH and TIMERAWL read without latching."""
        now = self._microseconds()
        if offset == 0x0C:
            self._high = now >> 32
            return now & 0xFFFF_FFFF
        values = {0x08: self._high, 0x24: now >> 32, 0x28: now & 0xFFFF_FFFF}
        return values[offset] & 0xFFFF_FFFF if offset in values else super().read(offset)


class Ssi(RegisterFile):
    """The flash's serial interface as boot2 uses it (4.10.13): commands get their answers."""

    STATUS, DATA, VERSION = 0x28, 0x60, 0x5C
    READ_STATUS_1, READ_STATUS_2 = 0x05, 0x35

    def __init__(self) -> None:
        """Idle, nothing received."""
        super().__init__(reset={self.VERSION: 0x3430_312A, 0x08: 0})
        self._command = 0
        self._answers: list[int] = []

    def read(self, offset: int) -> int:
        """Never busy; DR gives a byte for every byte that was sent."""
        if offset == self.STATUS:
            return 0x06 | (0x08 if self._answers else 0)
        if offset in (0x20, 0x24):
            return len(self._answers) if offset == 0x24 else 0
        if offset == self.DATA:
            return self._answers.pop(0) if self._answers else 0
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        """The first byte of an exchange is the command; quad mode is always enabled."""
        if offset == self.DATA:
            if not self._answers:
                self._command = value & 0xFF
                self._answers.append(0)
            else:
                self._answers.append(2 if self._command == self.READ_STATUS_2 else 0)
        else:
            super().write(offset, value)


class Sio:
    """The single-cycle IO block (2.3.1.7): cpuid, GPIO, divider, spinlocks; core 0 only."""

    GPIO_IN, GPIO_OUT, GPIO_OE = 0x04, 0x10, 0x20
    FIFO_ST = 0x50
    DIVIDE = range(0x60, 0x7C, 4)

    def __init__(self) -> None:
        """Pins low, locks free."""
        self._out = self._enable = self._locks = 0
        self._dividend = self._divisor = self._quotient = self._remainder = 0
        self._dirty = 0

    def read(self, offset: int) -> int:
        """CPUID reads 0; an input pin reads its output where it drives, else 0."""
        if offset == self.GPIO_IN:
            return self._out & self._enable
        if offset in (self.GPIO_OUT, self.GPIO_OE):
            return self._out if offset == self.GPIO_OUT else self._enable
        if offset == self.FIFO_ST:
            return 2  # room to write, nothing to read: core 1 sleeps in its ROM
        if offset == 0x5C:
            return self._locks
        if 0x60 <= offset <= 0x78:
            return self._read_divider(offset)
        if offset >= 0x100:
            return self._claim(1 << (offset - 0x100) // 4)
        return 0

    def _claim(self, lock: int) -> int:
        taken = self._locks & lock
        self._locks |= lock
        return 0 if taken else lock

    def _read_divider(self, offset: int) -> int:
        if offset == 0x70:
            self._dirty = 0
            return self._quotient
        if offset == 0x78:
            return 1 | self._dirty << 1
        return {0x74: self._remainder}.get(
            offset, self._divisor if offset in (0x64, 0x6C) else self._dividend
        )

    def write(self, offset: int, value: int) -> None:
        """GPIO writes with their set, clear and xor registers; operands start a division."""
        if 0x10 <= offset <= 0x2C:
            self._write_pins(offset, value)
        elif offset in self.DIVIDE:
            self._write_divider(offset, value)
        elif offset >= 0x100:
            self._locks &= ~(1 << (offset - 0x100) // 4)

    def _write_pins(self, offset: int, value: int) -> None:
        old = self._out if offset < 0x20 else self._enable
        new = [value, old | value, old & ~value, old ^ value][offset // 4 % 4] & 0x3FFF_FFFF
        if offset < 0x20:
            self._out = new
        else:
            self._enable = new

    def _write_divider(self, offset: int, value: int) -> None:
        self._dirty = 1
        if offset == 0x70:
            self._quotient = value
        elif offset == 0x74:
            self._remainder = value
        else:
            if offset in (0x60, 0x68):
                self._dividend = value
            else:
                self._divisor = value
            self._divide(signed=offset >= 0x68)

    def _divide(self, signed: bool) -> None:
        def as_signed(value: int) -> int:
            return value - (1 << 32) if signed and value >> 31 else value

        dividend, divisor = as_signed(self._dividend), as_signed(self._divisor)
        if divisor == 0:  # 2.3.1.5: -1 or +1 signed, all ones unsigned; remainder = dividend
            quotient = 1 if signed and dividend < 0 else -1
            remainder = dividend
        else:
            quotient = abs(dividend) // abs(divisor)
            quotient = quotient if (dividend < 0) == (divisor < 0) else -quotient
            remainder = dividend - quotient * divisor
        self._quotient = quotient & 0xFFFF_FFFF
        self._remainder = remainder & 0xFFFF_FFFF
