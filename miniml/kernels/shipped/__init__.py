"""Runs the text of generated ARM kernels in Python, with the wait states and caches of the chip.

Neither compiler nor simulator is asked. `shipped_cycles` is what cost and placement use.
"""

from miniml.kernels.shipped.flash import shipped_memory
from miniml.kernels.shipped.run import shipped_cycles

__all__ = ["shipped_cycles", "shipped_memory"]
