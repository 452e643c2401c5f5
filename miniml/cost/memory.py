"""Flash and SRAM of a generated int8 model, counted from its tables."""

from __future__ import annotations

from miniml.boards import Board
from miniml.model import DenseLayer, QuantizedModel

# sizeof(miniml_dense_layer): five pointers, two uint16_t, two int8_t; padded on ARM.
_LAYER_STRUCT = {"avr": 16, "cortex-m4": 28, "cortex-m0plus": 28}


def layer_flash(layer: DenseLayer, board: Board) -> int:
    """Bytes of one layer's constants in flash."""
    rows = layer.n_outputs
    tables = layer.macs + rows * (4 + 4 + 1) + (256 if layer.table is not None else 0)
    return tables + _LAYER_STRUCT[board.core]


def model_flash(model: QuantizedModel, board: Board) -> int:
    """Bytes of the model's constants in flash, the float entry's included."""
    floats = 4 * (2 * model.n_inputs)
    return floats + sum(layer_flash(layer, board) for layer in model.layers)


def model_sram(model: QuantizedModel) -> int:
    """Bytes of the model's two buffers and of the sketch's input, in SRAM."""
    return max(model.widths[0::2]) + max(model.widths[1::2]) + model.n_inputs
