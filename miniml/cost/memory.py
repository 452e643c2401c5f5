"""Flash and SRAM of a generated model, counted from its tables."""

from __future__ import annotations

from miniml.cost.calibration import load_calibrations
from miniml.float_net import FloatMode, scratch_widths
from miniml.model import DenseLayer, QuantizedModel

# sizeof(miniml_dense_layer): five pointers, two uint16_t, two int8_t; padded on ARM.
_LAYER_STRUCT = {"avr": 16, "cortex-m4": 28, "cortex-m0plus": 28}
# sizeof(miniml_model): four pointers, two uint16_t, two uint8_t; padded on ARM.
_MODEL_STRUCT = {"avr": 14, "cortex-m4": 24, "cortex-m0plus": 24}
_MODEL_ID = 65
# sizeof(miniml_float_layer): three pointers, two uint16_t, a uint8_t; padded on ARM.
_FLOAT_LAYER_STRUCT = {"avr": 11, "cortex-m4": 20, "cortex-m0plus": 20}


def layer_flash(layer: DenseLayer, core: str) -> int:
    """Bytes of one layer's constants in flash."""
    rows = layer.n_outputs
    table = 0 if layer.table is None else 256
    return layer.macs + rows * (4 + 4 + 1) + table + _LAYER_STRUCT[core]


def model_flash(model: QuantizedModel, core: str) -> int:
    """Bytes of the model's constants in flash: layers, float entry, what the link reads."""
    layers = sum(layer_flash(layer, core) for layer in model.layers)
    return layers + frame_flash(model, core)


def frame_flash(model: QuantizedModel, core: str) -> int:
    """Bytes of the model's constants that are no layer's: float entry, what the link reads."""
    float_entry = 4 * (2 * model.n_inputs)
    return float_entry + 2 * len(model.layers) + _MODEL_ID + _MODEL_STRUCT[core]


def kernel_flash(core: str) -> int:
    """Bytes of the kernel's code: the largest that was measured for this core."""
    records = load_calibrations().records.values()
    return max((r.kernel_flash for r in records if r.core == core), default=0)


def model_sram(model: QuantizedModel) -> int:
    """Bytes of the model's two buffers and of the sketch's sample."""
    widths = model.widths
    return max(widths[0::2]) + max(widths[1::2]) + model.n_inputs


def float_layer_flash(layer: DenseLayer, core: str, mode: FloatMode) -> int:
    """Bytes of one layer's constants in flash in a float mode."""
    weight, row = (4, 4) if mode == "float32" else (1, 8)
    return weight * layer.macs + row * layer.n_outputs + _FLOAT_LAYER_STRUCT[core]


def float_sram(model: QuantizedModel, mode: FloatMode) -> int:
    """Bytes of a float mode's buffers and of the sketch's sample."""
    return 4 * (sum(scratch_widths(model.widths, mode)) + model.n_inputs)
