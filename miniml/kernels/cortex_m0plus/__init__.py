"""Kernels for the Cortex-M0+ (RP2040): generated assembly whose cycles are known beforehand."""

from miniml.kernels.cortex_m0plus.plan import plan

__all__ = ["plan"]
