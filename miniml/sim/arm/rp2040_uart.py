"""The RP2040's UART0, a PL011 (datasheet 4.2.8), on the common serial line."""

from __future__ import annotations

from collections.abc import Callable

from miniml.sim.arm.registers import NarrowWrites
from miniml.sim.arm.uart import InterruptLine, Uart

BASE = 0x4003_4000  # UART0
DR, RSR, FR, IBRD, FBRD, LCR_H, CR = 0x00, 0x04, 0x18, 0x24, 0x28, 0x2C, 0x30
IMSC, RIS, MIS, ICR = 0x38, 0x3C, 0x40, 0x44
FR_BUSY, FR_RXFE, FR_TXFF, FR_RXFF, FR_TXFE = 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7
CR_UARTEN, CR_RXE, LCR_FEN = 1 << 0, 1 << 9, 1 << 4
RX_INTERRUPT, TX_INTERRUPT, OVERRUN_INTERRUPT = 1 << 4, 1 << 5, 1 << 10
DR_OVERRUN = 1 << 11
FIFO = 32
# PrimeCell identification, datasheet 4.2.8 (UARTPERIPHID0 to UARTPCELLID3)
IDENTITY = dict(zip(range(0xFE0, 0x1000, 4), b"\x11\x10\x34\x00\x0d\xf0\x05\xb1", strict=True))


class Pl011(NarrowWrites):
    """UART0 with its FIFOs; the receive interrupt comes with the first byte.

    Args:
        uart: the line behind it.
        cycles_per_clock: core cycles per cycle of clk_peri.
        raise_interrupt: told the level of the interrupt line.
    """

    def __init__(
        self,
        uart: Uart,
        cycles_per_clock: Callable[[], float],
        raise_interrupt: Callable[[bool], None],
    ) -> None:
        """Registers at their reset values."""
        self._uart = uart
        self._cycles_per_clock = cycles_per_clock
        self._interrupt = InterruptLine(raise_interrupt)
        self._values = {CR: 0x300, 0x34: 0x12}

    def _raw_interrupts(self) -> int:
        uart = self._uart
        return (
            (RX_INTERRUPT if uart.received else 0)
            | (TX_INTERRUPT if uart.waiting_to_send == 0 else 0)
            | (OVERRUN_INTERRUPT if uart.overrun else 0)
        )

    def update(self) -> None:
        """Set the interrupt line from the raw interrupts and their mask."""
        self._interrupt.set(bool(self._raw_interrupts() & self._values.get(IMSC, 0)))

    def read(self, offset: int) -> int:
        """Registers; reading DR takes a byte."""
        uart = self._uart
        if offset == DR:
            value = uart.receive() | (DR_OVERRUN if uart.overrun else 0)
            uart.overrun = False
            self.update()
            return value
        if offset == FR:
            uart.advance()
            status = (
                (0 if uart.transmitter_empty else FR_BUSY)
                | (0 if uart.received else FR_RXFE)
                | (0 if uart.can_transmit else FR_TXFF)
                | (FR_RXFF if len(uart.received) >= uart.buffer else 0)
                | (FR_TXFE if uart.waiting_to_send == 0 else 0)
            )
            uart.watch_status(BASE + FR, status)
            return status
        if offset in (RIS, MIS):
            uart.advance()
            mask = self._values.get(IMSC, 0) if offset == MIS else 0x7FF
            return self._raw_interrupts() & mask
        if offset == RSR:
            return 8 if uart.overrun else 0
        return IDENTITY.get(offset, self._values.get(offset, 0))

    def write(self, offset: int, value: int) -> None:
        """Registers; writing DR sends."""
        if offset == DR:
            if self._values[CR] & CR_UARTEN:
                self._uart.transmit(value)
        elif offset in (RSR, ICR):
            self._uart.overrun = False
        else:
            self._values[offset] = value
            self._set_frame()
        self.update()

    def _set_frame(self) -> None:
        get = self._values.get
        control, line = get(CR, 0), get(LCR_H, 0)
        self._uart.buffer = FIFO if line & LCR_FEN else 1
        self._uart.receiver_on = bool(control & CR_UARTEN and control & CR_RXE)
        self._uart.interrupts = bool(get(IMSC, 0))
        # 4.2.7.1: a bit lasts 16 * (IBRD + FBRD / 64) cycles of clk_peri
        bits = 1 + (line >> 5 & 3) + 5 + (line >> 1 & 1) + (2 if line >> 3 & 1 else 1)
        clocks = bits * (get(IBRD, 0) * 64 + get(FBRD, 0)) / 4
        self._uart.frame_cycles = max(1, round(clocks * self._cycles_per_clock()))
