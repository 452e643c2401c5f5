"""The CMSIS-NN backend: one self-contained header, with Arm's kernels where they are enabled.

Layers with one multiplier (all of a per_layer model) run on `arm_fully_connected_s8`. Others take
`arm_fully_connected_per_channel_s8`, which CMSIS-NN has from 7.0 on, or before that a convolution
of one pixel, which takes arrays of multipliers as well: `arm_convolve_s8` where there are DSP
instructions, else `arm_convolve_1x1_s8_fast`, the faster one on each. docs/CMSIS_NN.md says how
to build with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from miniml.adapters.c_text import check_name, render
from miniml.adapters.cmsis_nn import self_test
from miniml.atomic_file import write_atomically
from miniml.errors import MiniMLError, NotQuantizedError
from miniml.fixed_point import quantize_multiplier
from miniml.model import GENERATOR_VERSION, DenseLayer, QuantizedModel


class CMSISAdapter:
    """The adapter of the quantization guide: a model to CMSIS-NN's C."""

    def __init__(self, model: Any) -> None:
        """Take a model.

        Args:
            model: a quantized MiniNeuralNetwork (anything with `quantized_model`), or a
                QuantizedModel.

        Raises:
            NotQuantizedError: the network is not quantized yet, or this is no network.
        """
        own = isinstance(model, QuantizedModel)
        if not own and not hasattr(type(model), "quantized_model"):
            raise NotQuantizedError(
                f"CMSISAdapter got {type(model).__name__}, which has no quantized model: "
                "give it a MiniNeuralNetwork after quantize()"
            )
        # The network raises by itself before quantize().
        self.model: QuantizedModel = model if own else model.quantized_model

    def generate_c(self, path: str | Path) -> str:
        """Write the header to `path`, whole or not at all, and return its text.

        Raises:
            ModelError: the model's name can't prefix C symbols.
            MiniMLError: the file can't be written; what was there stays.
        """
        text = generate(self.model, f"model {self.model.name}")
        try:
            write_atomically(Path(path), text.encode("ascii"))
        except OSError as error:
            raise MiniMLError(
                f"{path}: can't be written ({error.strerror}): choose a folder that is there "
                "and that you may write"
            ) from error
        return text

    @staticmethod
    def _quantize_multiplier(real_multiplier: float) -> tuple[int, int]:
        """The guide's Q31 significand and shift, safe for every number (miniml.fixed_point).

        Raises:
            MultiplierError: negative, NaN, infinite, or too large for a left shift of 30.
        """
        return quantize_multiplier(real_multiplier)


def generate(model: QuantizedModel, source: str) -> str:
    """The text of `<name>_model.h` for CMSIS-NN.

    Args:
        model: any quantized model.
        source: what it was trained from, for the header's first lines.

    Raises:
        ModelError: the model's name can't prefix C symbols.
    """
    name = check_name(model.name)
    kinds = sorted({_per_row(layer) for layer in model.layers})
    tests = [self_test.make(per_row=kind) for kind in kinds]
    columns = max(layer.n_inputs for layer in (*model.layers, *(test.layer for test in tests)))
    return render(
        "model_cmsis_nn.h.j2",
        model=model,
        name=name,
        upper=name.upper(),
        source=source,
        generator_version=GENERATOR_VERSION,
        per_row=_per_row,
        kinds=kinds,
        self_tests=tests,
        # Two columns of int16, rounded up to a multiple of four: what arm_convolve_s8 of any
        # release before 7.0 wants for one pixel. The header asks the library's own function too.
        buffer_bytes=4 * (-(-columns // 4) * 4),
        scratch_a=max(model.widths[0::2]),
        scratch_b=max(model.widths[1::2]),
    )


def _per_row(layer: DenseLayer) -> bool:
    """Whether rows differ in multiplier or shift; one pair serves a layer where they don't."""
    return len({*zip(layer.multipliers.tolist(), layer.shifts.tolist(), strict=True)}) > 1
