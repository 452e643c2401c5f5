"""MiniML: small neural networks, quantized to int8, exact to the byte on every board.

`from miniml import ml_manager, evaluate, evaluate_quantized` is the API of the quantization
guide; importing the package alone loads nothing else, so that the build hook stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miniml.accuracy import check_accuracy_loss, evaluate, evaluate_quantized

__version__ = "0.1.0"
__all__ = ["__version__", "check_accuracy_loss", "evaluate", "evaluate_quantized"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from miniml import accuracy

    return getattr(accuracy, name)
