"""What one writes by hand: plain C over the same net, as a baseline for kernels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from miniml.adapters.c_text import floats, integers
from miniml.bench.peers import wrapper
from miniml.cost.benchmark import ModelCode
from miniml.model import QuantizedModel

_INT8 = """\
typedef struct {
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multipliers;
  const int8_t *shifts;
  uint16_t n_inputs, n_outputs;
  int8_t activation_min, activation_max;
} plain_layer;

static void plain_run(const plain_layer *layer, const int8_t *in, int8_t *out) {
  const int8_t *weight = layer->weights;
  for (uint16_t row = 0; row < layer->n_outputs; row++) {
    int32_t acc = (int32_t)MINIML_FLASH_I32(&layer->bias[row]);
    for (uint16_t i = 0; i < layer->n_inputs; i++) {
      acc += (int16_t)MINIML_FLASH_I8(weight++) * in[i];
    }
    const int8_t shift = MINIML_FLASH_I8(&layer->shifts[row]);
    const int64_t product = (int64_t)acc * (1l << (shift > 0 ? shift : 0)) *
                            MINIML_FLASH_I32(&layer->multipliers[row]);
    int32_t y = (int32_t)((product + (1ll << 30)) >> 31);
    if (shift < 0) {
      const int32_t mask = (1l << -shift) - 1, rest = y & mask;
      y = (y >> -shift) + (rest > (mask >> 1) + (y < 0));
    }
    y = y < layer->activation_min ? layer->activation_min : y;
    out[row] = (int8_t)(y > layer->activation_max ? layer->activation_max : y);
  }
}
"""
_FLOAT = """\
static void plain_run(const float *weights, const float *bias, uint16_t n_inputs,
                      uint16_t n_outputs, uint8_t relu, const float *in, float *out) {
  for (uint16_t row = 0; row < n_outputs; row++) {
    float sum = MINIML_FLASH_FLOAT(&bias[row]);
    for (uint16_t i = 0; i < n_inputs; i++) {
      sum += MINIML_FLASH_FLOAT(weights) * in[i];
      weights++;
    }
    out[row] = relu && sum < 0.0f ? 0.0f : sum;
  }
}
"""


def plain_int8(model: QuantizedModel) -> ModelCode:
    """int8 with a 64-bit requantize: the contract, without a thought for speed."""
    text, calls, source = [_INT8], [], "in"
    for number, layer in enumerate(model.layers):
        text += [
            _array("int8_t", f"weights_{number}", integers(layer.weights.ravel())),
            _array("int32_t", f"bias_{number}", integers(layer.bias)),
            _array("int32_t", f"multipliers_{number}", integers(layer.multipliers)),
            _array("int8_t", f"shifts_{number}", integers(layer.shifts)),
            f"static int8_t values_{number}[{layer.n_outputs}];\n",
        ]
        calls += [
            f"  {{\n    const plain_layer layer = {{weights_{number}, bias_{number}, "
            f"multipliers_{number}, shifts_{number},\n"
            f"                               {layer.n_inputs}, {layer.n_outputs}, "
            f"{layer.activation_min}, {layer.activation_max}}};\n"
            f"    plain_run(&layer, {source}, values_{number});\n  }}"
        ]
        source = f"values_{number}"
    calls.append(f"  memcpy(out, {source}, sizeof out);")
    return _code(model, text, calls)


def plain_float32(model: QuantizedModel) -> ModelCode:
    """The same net in floats, weights in flash; the wrapper turns bytes to floats and back."""
    text, source = [_FLOAT], "values"
    calls = [
        f"  for (uint16_t i = 0; i < {model.n_inputs}; i++) {{\n    values[i] = in[i] * "
        f"{np.float32(model.layers[0].input_scale)}f;\n  }}"
    ]
    text.append(f"static float values[{model.n_inputs}];\n")
    for number, layer in enumerate(model.layers):
        weights = (layer.weights * layer.weight_scales[:, np.newaxis]).ravel()
        bias = layer.bias * layer.weight_scales * layer.input_scale
        text += [
            _array("float", f"weights_{number}", floats(weights)),
            _array("float", f"bias_{number}", floats(bias)),
            f"static float values_{number}[{layer.n_outputs}];\n",
        ]
        calls.append(
            f"  plain_run(weights_{number}, bias_{number}, {layer.n_inputs}, {layer.n_outputs}, "
            f"{int(layer.activation == 'relu')}, {source}, values_{number});"
        )
        source = f"values_{number}"
    scale = np.float32(1 / model.layers[-1].output_scale)
    calls.append(
        f"  for (uint16_t i = 0; i < {model.n_outputs}; i++) {{\n"
        f"    out[i] = (int8_t)({source}[i] * {scale}f);\n  }}"
    )
    return _code(model, text, calls)


def _array(kind: str, name: str, values: str) -> str:
    return f"static const {kind} {name}[] MINIML_FLASH = {{\n{values}}};\n"


def _code(model: QuantizedModel, text: Iterable[str], calls: Iterable[str]) -> ModelCode:
    # Optimized for speed, as one would.
    return ModelCode(wrapper(model, "\n" + "\n".join(text), "\n".join(calls)), flags=("-O2",))
