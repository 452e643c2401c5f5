"""Generated kernels for the Cortex-M4: SMLAD on chains of rows, weights in the order of use."""

from miniml.kernels.cortex_m4.plan import METHODS, plan

__all__ = ["METHODS", "plan"]
