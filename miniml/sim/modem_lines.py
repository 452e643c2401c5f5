"""What simulated boards do with DTR, RTS and parity, which a pseudo-terminal has not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Control = Callable[[str], Mapping[str, Any]]
NONE, EVEN, ODD = "N", "E", "O"


class BoardLines:
    """A board that takes no notice of the lines. Subclasses are the habits of real ones.

    Args:
        control: asks the simulated board (its control socket).
    """

    def __init__(self, control: Control) -> None:
        """Both lines off, as while the port is closed."""
        self._control = control
        self.dtr = self.rts = False

    def set(self, *, dtr: bool, rts: bool) -> None:
        """The host moved a line."""
        before, self.dtr, self.rts = self.dtr, dtr, rts
        if before != dtr:
            self.dtr_moved()

    def dtr_moved(self) -> None:
        """An edge of DTR."""

    def hears(self) -> bool:
        """Whether bytes of the host reach the chip."""
        return True

    def speaks(self) -> bool:
        """Whether bytes of the chip reach the host."""
        return True

    def parity(self) -> str:
        """What the chip's UART is set to just now."""
        return NONE


class ResetByDtr(BoardLines):
    """Uno, Nano: DTR going on pulls the reset pin down through 100 nF."""

    def dtr_moved(self) -> None:
        """The edge alone resets; the level doesn't matter."""
        if self.dtr:
            self._control("reset")


class UsbSerial(BoardLines):
    """A Pico's USB: the core sends nothing to a host that has not set DTR."""

    def speaks(self) -> bool:
        """Only to who listens."""
        return self.dtr


class RomLoaderLines(BoardLines):
    """An STM32, whose ROM loader wants even parity (AN2606).

    Args:
        control: asks the simulated board.
        wired: DTR on releases NRST, RTS on raises BOOT0, as an adapter with a transistor at
            each does it; else the two pins aren't connected.
    """

    def __init__(self, control: Control, *, wired: bool) -> None:
        """Both lines off; a wired board is held in reset by that, but runs until they move."""
        super().__init__(control)
        self._wired = wired
        self._held = False

    def dtr_moved(self) -> None:
        """NRST, if it is connected."""
        if not self._wired:
            return
        self._held = not self.dtr
        if self.dtr:
            self._control(f"boot0 {int(self.rts)}")
            self._control("reset")

    def hears(self) -> bool:
        """Not while NRST is low."""
        return not self._held

    def speaks(self) -> bool:
        """Not while NRST is low."""
        return not self._held

    def parity(self) -> str:
        """Even in the ROM loader, none in a program."""
        return EVEN if self._control("status").get("state") == "loader" else NONE


def lines_of(simulator: str, control: Control, *, wired: bool = False) -> BoardLines:
    """The lines of a simulated board, by the `simulator` of its section."""
    if simulator == "atmega328p":
        return ResetByDtr(control)
    if simulator == "rp2040":
        return UsbSerial(control)
    return RomLoaderLines(control, wired=wired)


def arrives(byte: int, sent: str, expected: str) -> bool:
    """Whether a frame of 8 bits is taken by a UART that is set to another parity than the sender.

    A parity bit that isn't expected stands where the stop bit should be, which is 1; and where one
    is expected but not sent, the stop bit is taken for it.
    """
    even = byte.bit_count() & 1
    bit = {NONE: 1, EVEN: even, ODD: even ^ 1}[sent]
    return bit == {NONE: 1, EVEN: even, ODD: even ^ 1}[expected]
