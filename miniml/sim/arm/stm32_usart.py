"""The STM32F4's USART registers (RM0090, 30.6) on the common serial line."""

from __future__ import annotations

from collections.abc import Callable

from miniml.sim.arm.registers import NarrowWrites
from miniml.sim.arm.uart import InterruptLine, Uart

BASE = 0x4001_1000  # USART1
SR, DR, BRR, CR1 = 0x00, 0x04, 0x08, 0x0C
ORE, RXNE, TC, TXE = 1 << 3, 1 << 5, 1 << 6, 1 << 7
UE, RXNEIE, TCIE, TXEIE, RE, OVER8 = 1 << 13, 1 << 5, 1 << 6, 1 << 7, 1 << 2, 1 << 15


class Usart(NarrowWrites):
    """USART1 in asynchronous mode with polled or interrupt driven data register.

    Args:
        uart: the line behind it.
        cycles_per_clock: core cycles per cycle of the peripheral's clock.
        raise_interrupt: told the level of the interrupt line.
    """

    def __init__(
        self,
        uart: Uart,
        cycles_per_clock: Callable[[], int],
        raise_interrupt: Callable[[bool], None],
    ) -> None:
        """Registers at their reset values."""
        self._uart = uart
        self._cycles_per_clock = cycles_per_clock
        self._interrupt = InterruptLine(raise_interrupt)
        self._values = {BRR: 0, CR1: 0, 0x10: 0, 0x14: 0, 0x18: 0}

    def _status(self) -> int:
        uart = self._uart
        return (
            (ORE if uart.overrun else 0)
            | (RXNE if uart.received else 0)
            | (TC if uart.transmitter_empty else 0)
            | (TXE if uart.can_transmit else 0)
        )

    def update(self) -> None:
        """Set the interrupt line from the flags and their enable bits."""
        enabled = self._values[CR1]
        status = self._status()
        line = status & enabled & (RXNE | TC | TXE)
        self._interrupt.set(bool(line or (status & ORE and enabled & RXNEIE)))

    def read(self, offset: int) -> int:
        """Registers; reading DR takes the byte and clears an overrun."""
        uart = self._uart
        if offset == SR:
            uart.advance()
            status = self._status()
            uart.watch_status(BASE + SR, status)
            return status
        if offset == DR:
            uart.overrun = False
            value = uart.receive()
            self.update()
            return value
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Registers; writing DR sends."""
        if offset == DR:
            self._uart.transmit(value)
        elif offset != SR:
            self._values[offset] = value & 0xFFFF
            self._set_frame()
        self.update()

    def _set_frame(self) -> None:
        divider = self._values[BRR]
        control = self._values[CR1]
        if control & OVER8:  # USARTDIV = mantissa + fraction / 8, 8 samples a bit
            divider = (divider >> 4) * 8 + (divider & 7)
        bits = 11 if control >> 12 & 1 else 10
        if self._values[0x10] >> 12 & 3 == 2:
            bits += 1
        self._uart.frame_cycles = max(1, divider * bits * self._cycles_per_clock())
        self._uart.receiver_on = bool(control & UE and control & RE)
        self._uart.interrupts = bool(control & (RXNEIE | TCIE | TXEIE))
