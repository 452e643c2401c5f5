"""Kernels for the ATmega328P: `plan`."""

from miniml.kernels.avr.plan import plan

__all__ = ["plan"]
