"""Other people's kernels on our nets: what PyPI has, wrapped as a benchmark takes it.

Each function makes the ModelCode of one peer for one int8 model, or raises UsageError with what to
install. The peers are development packages (`pip install miniml-pio[dev]`); nothing of them is part
of this package.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np

from miniml.cost.benchmark import ModelCode
from miniml.errors import UsageError
from miniml.model import QuantizedModel

_WRAPPER = """\
#include <miniml.h>
{include}

#define {upper}_N_INPUTS {n_inputs}
#define {upper}_N_OUTPUTS {n_outputs}
#define {upper}_N_LAYERS {n_layers}

/* A benchmark asks for the first layers too; a peer only has the whole network. */
MINIML_NOINLINE static const int8_t *{name}_run_layers(const int8_t *in, uint8_t n_layers) {{
  static int8_t out[{n_outputs}];
  (void)n_layers;
{call}
  return out;
}}
"""


def wrapper(model: QuantizedModel, include: str, call: str) -> str:
    """A header that presents a peer's function as `<name>_run_layers`."""
    return _WRAPPER.format(
        include=include,
        call=call,
        name=model.name,
        upper=model.name.upper(),
        n_inputs=model.n_inputs,
        n_outputs=model.n_outputs,
        n_layers=len(model.layers),
    )


def bakenn(model: QuantizedModel, folder: Path) -> ModelCode:
    """bakenn's portable C: the same weights, scales rounded to binary32.

    Args:
        model: int8, relu or linear.
        folder: an empty one for what bakenn writes.

    Raises:
        UsageError: bakenn is not installed.
    """
    package = _installed("bakenn")
    package.compile(_bakenn_graph(model), str(folder), model_name="peer")
    call = (
        "  static uint8_t arena[BKNN_PEER_ARENA_SIZE] __attribute__((aligned(16)));\n"
        "  bknn_peer_infer(arena, in, out);"
    )
    return ModelCode(
        header=wrapper(model, "#include <bknn_peer.h>", call),
        sources=tuple(sorted(folder.glob("*.c"))),
        includes=(folder,),
        flags=("-O2",),
    )


def _bakenn_graph(model: QuantizedModel) -> object:
    graph = _installed("bakenn.ir.graph")
    operations, types = _installed("bakenn.ir.op"), _installed("bakenn.ir.types")
    scale = types.PerTensorQParams(model.layers[0].input_scale, 0)
    values = {
        "input": types.TensorType((1, model.n_inputs), types.DType.INT8, types.Layout.NC, scale)
    }
    constants, steps, last = {}, [], "input"
    for number, layer in enumerate(model.layers):
        zeros = (0,) * layer.n_outputs
        rows = types.PerAxisQParams(tuple(layer.weight_scales.tolist()), zeros, 0)
        products = tuple(scale.scale * row for row in rows.scales)
        biases = types.PerAxisQParams(products, zeros, 0)
        scale = types.PerTensorQParams(layer.output_scale, 0)
        names = [f"{kind}{number}" for kind in ("weights", "bias", "output")]
        described = (
            (layer.weights.shape, types.DType.INT8, types.Layout.OI, rows),
            (layer.bias.shape, types.DType.INT32, types.Layout.C, biases),
            ((1, layer.n_outputs), types.DType.INT8, types.Layout.NC, scale),
        )
        values.update({n: types.TensorType(*d) for n, d in zip(names, described, strict=True)})
        constants.update({names[0]: layer.weights, names[1]: layer.bias})
        clamp = (layer.activation_min, layer.activation_max)
        steps.append(operations.LinearOp(f"layer{number}", last, *names, *clamp))
        last = names[2]
    return graph.QuantizedGraph("peer", values, constants, tuple(steps), ("input",), (last,))


def emlearn(model: QuantizedModel) -> ModelCode:
    """emlearn's float network, its "inline" form, over the dequantized weights.

    Its outputs are floats, so its bytes are not comparable: the wrapper gives the class.

    Raises:
        UsageError: emlearn is not installed.
    """
    # Importing it makes numpy raise at every underflow of this process.
    with np.errstate():
        net = _installed("emlearn.net")
    activations = ["relu" if layer.activation == "relu" else "identity" for layer in model.layers]
    weights = [(x.weights * x.weight_scales[:, np.newaxis]).T for x in model.layers]
    biases = [x.bias * x.weight_scales * x.input_scale for x in model.layers]
    made = net.Wrapper(activations, weights, biases, classifier=None, return_type="classifier")
    folder = Path(str(net.__file__)).parent
    scale = f"{np.float32(model.layers[0].input_scale)}f"
    call = (
        f"  static float values[{model.n_inputs}];\n"
        f"  for (uint16_t i = 0; i < {model.n_inputs}; i++) {{\n"
        f"    values[i] = in[i] * {scale};\n  }}\n"
        f"  out[0] = (int8_t)eml_net_predict(&peer, values, {model.n_inputs});"
    )
    return ModelCode(
        header=wrapper(model, '#include "peer.h"', call),
        texts={"peer.h": str(made.save(name="peer"))},
        includes=(folder,),
        flags=("-O2", "-Wno-all"),
    )


def _installed(name: str) -> ModuleType:
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise UsageError(f"{name.partition('.')[0]} is not installed: pip install miniml-pio[dev]")
    return importlib.import_module(name)
