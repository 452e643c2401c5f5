"""`python -m miniml.sim.arm --board stm32f405 --state DIR`: a simulated board until it is ended."""

from __future__ import annotations

import sys

from miniml.errors import SimulatorError
from miniml.sim import need_linux

if __name__ == "__main__":
    try:
        need_linux()
    except SimulatorError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    # What it imports (ptys, Unicorn) isn't there on every system.
    from miniml.sim.arm.command import main

    sys.exit(main())
