"""What a board's cycles are held against, and how near they must come (docs/HARNESS.md, "Cycles").

The foretold figure is of a core without wait states and caches. Where a real board has them it is a
lower bound, and only a baseline that was recorded on such a board tells what is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from miniml.boards import Board
from miniml.cost import Cost

# Simulated boards. Assembly is counted instruction by instruction; a C kernel's figure is a fit for
# one compiler.
SIMULATED_ASSEMBLY = {"avr": 0.0, "cortex-m4": 0.01, "cortex-m0plus": 0.01}
COMPILED = 0.03
# Real boards whose memory has no wait states: an RP2040's SRAM, an STM32F4's flash at a low clock.
# The M4's branches and loads were never compared with silicon.
REAL_IDEAL = {"avr": 0.0, "cortex-m4": 0.05, "cortex-m0plus": 0.02}
# RM0090, table 10: the STM32F4's flash needs a wait state above 30 MHz at 2.7 V to 3.6 V.
M4_NO_WAIT_HZ = 30_000_000
# Medians against a recorded baseline: the flash's caches move them from build to build.
BASELINE = {"avr": 0.01, "cortex-m4": 0.02, "cortex-m0plus": 0.05}


@dataclass(frozen=True)
class CycleRule:
    """How a board's masked cycles are judged.

    Attributes:
        against: every row's foretold figure, or the recorded median.
        limit: relative; 0 is equal.
    """

    against: Literal["foretold", "baseline"]
    limit: float


def cycle_rule(
    board: Board, cost: Cost | None, *, simulated: bool, clock_hz: int | None
) -> CycleRule:
    """The rule of a board and its build.

    Args:
        board: its core and, where it doesn't tell its clock, its clock_hz.
        cost: foretold; None, or without cycles: a baseline is all there can be.
        simulated: whether it counts by the makers' tables.
        clock_hz: as the board tells it.
    """
    if cost is None or cost.cycles_by_row is None:
        return CycleRule("baseline", BASELINE[board.core])
    if simulated:
        return CycleRule("foretold", SIMULATED_ASSEMBLY[board.core] if cost.exact else COMPILED)
    if board.core == "avr":
        return CycleRule("foretold", REAL_IDEAL["avr"] if cost.exact else COMPILED)
    if board.core == "cortex-m4":
        # Code that the STM32F4 fetches from SRAM over the system bus waits at any clock (Arm
        # 100166, "Pipelined instruction fetches"; docs/KERNELS_CORTEX_M4.md).
        low_clock = (clock_hz or board.clock_hz) <= M4_NO_WAIT_HZ
        no_waits = low_clock and cost.placement in ("flash", "constants")
    else:
        no_waits = cost.placement == "sram"
    if no_waits:
        ideal = REAL_IDEAL[board.core]
        return CycleRule("foretold", ideal if cost.exact else max(ideal, COMPILED))
    return CycleRule("baseline", BASELINE[board.core])
