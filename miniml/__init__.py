"""MiniML: small neural networks, quantized to int8, exact to the byte on every board."""

__version__ = "0.1.0"
