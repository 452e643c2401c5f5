"""Arm's CMSIS-NN for benchmarks and tests: where its sources are, and our header on them.

The development package bakenn carries release 4.0.0 (Apache-2.0); nothing of it is part of this
package. With MINIML_CMSIS_NN set to the folder of another release (its Include and Source), that
one is taken.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from miniml.adapters.cmsis_nn.adapter import generate
from miniml.cost.benchmark import ModelCode
from miniml.errors import UsageError
from miniml.model import QuantizedModel

OTHER_RELEASE = "MINIML_CMSIS_NN"
ENABLED = "-DCMSISNN_ENABLED"
# What a generated header calls, and what that calls, in any release.
SOURCES = (
    "ConvolutionFunctions/arm_convolve_1x1_s8_fast.c",
    "ConvolutionFunctions/arm_convolve_get_buffer_sizes_s8.c",
    "ConvolutionFunctions/arm_convolve_s8.c",
    "ConvolutionFunctions/arm_nn_mat_mult_kernel_row_offset_s8_s16.c",
    "ConvolutionFunctions/arm_nn_mat_mult_kernel_s8_s16.c",
    "FullyConnectedFunctions/arm_fully_connected_get_buffer_sizes_s8.c",
    "FullyConnectedFunctions/arm_fully_connected_per_channel_s8.c",
    "FullyConnectedFunctions/arm_fully_connected_s8.c",
    "NNSupportFunctions/arm_nn_mat_mult_nt_t_s8.c",
    "NNSupportFunctions/arm_nn_vec_mat_mult_t_per_ch_s8.c",
    "NNSupportFunctions/arm_nn_vec_mat_mult_t_s8.c",
    "NNSupportFunctions/arm_q7_to_q15_with_offset.c",
    "NNSupportFunctions/arm_s8_to_s16_unordered_with_offset.c",
)


def cmsis_nn(model: QuantizedModel, optimization: str = "-O2") -> ModelCode:
    """Our header on CMSIS-NN, all of it compiled with one level of optimization.

    Raises:
        UsageError: there is no CMSIS-NN.
    """
    return ModelCode(
        header=generate(model, "a benchmark"),
        sources=tuple(sources()),
        includes=tuple(includes()),
        flags=(optimization, ENABLED, *version_flags()),
    )


def vendor() -> Path:
    """The folder of bakenn that holds cmsis_nn and cmsis_core.

    Raises:
        UsageError: bakenn is not installed.
    """
    found = importlib.util.find_spec("bakenn")
    if found is None or found.origin is None:
        raise UsageError(
            "bakenn, which carries CMSIS-NN, is not installed: pip install miniml-pio[dev]"
        )
    return Path(found.origin).parent / "backend" / "cmsis_nn" / "vendor"


def root() -> Path:
    """The folder with Include and Source.

    Raises:
        UsageError: they are not there.
    """
    other = os.environ.get(OTHER_RELEASE)
    folder = Path(other) if other else vendor() / "cmsis_nn"
    if not (folder / "Include" / "arm_nnfunctions.h").is_file():
        raise UsageError(
            f"{folder} has no Include/arm_nnfunctions.h: let {OTHER_RELEASE} name the folder of a "
            "release"
        )
    return folder


def includes() -> list[Path]:
    """Folders of headers: CMSIS-NN's, and CMSIS-Core's compiler header that 4.0.0 asks for."""
    return [root() / "Include", vendor() / "cmsis_core" / "Include"]


def sources() -> list[Path]:
    """The files to compile: those of SOURCES that this release has."""
    return [file for name in SOURCES if (file := root() / "Source" / name).is_file()]


def version_flags() -> tuple[str, ...]:
    """CMSISNN_VERSION=7 where the release has the per-channel function."""
    newer = "arm_fully_connected_per_channel_s8.c" in {file.name for file in sources()}
    return ("-DCMSISNN_VERSION=7",) if newer else ()
