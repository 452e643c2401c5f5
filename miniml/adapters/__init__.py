"""Backends: each module turns a QuantizedModel into C text for one way of computing it."""
