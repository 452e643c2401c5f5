"""Energy of an inference: cycles at the current that a source gives for a busy core.

Published figures of typical parts, not measurements of ours; a board's regulator, LEDs and
peripherals come on top unless the source says that they are in it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ActivePower:
    """What a core draws while it computes.

    Attributes:
        volts, milliamperes: of the supply.
        clock_hz: at which that was; energy per cycle is taken to be the same at another clock.
        source: where the figure stands.
    """

    volts: float
    milliamperes: float
    clock_hz: int
    source: str

    @property
    def nanojoules_per_cycle(self) -> float:
        """Supply power over clock."""
        return 1e6 * self.volts * self.milliamperes / self.clock_hz


POWER = {
    "avr": ActivePower(
        5.0, 5.2, 8_000_000, "ATmega328P datasheet, DC characteristics, active at 8 MHz, typical"
    ),
    "cortex-m4": ActivePower(
        3.3,
        40.0,
        168_000_000,
        "STM32F405 datasheet DS8626, run mode at 168 MHz, peripherals off, typical",
    ),
    "cortex-m0plus": ActivePower(
        5.0,
        22.0,
        133_000_000,
        "whole Pico board, measured by M. Müller (Elektronik-Labor); the RP2040 datasheet has no "
        "figure for one busy core",
    ),
}


def nanojoules(core: str, cycles: int) -> float:
    """Energy of some cycles on a core of POWER."""
    return POWER[core].nanojoules_per_cycle * cycles
