"""One dispatch table: which backend makes the header of a mode (docs/MODES.md).

`miniml.build`, `miniml generate` and `ml_manager.export_to_c` all come here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from miniml.adapters import float_modes, int8, native
from miniml.adapters.c_text import check_name, render
from miniml.adapters.cmsis_nn import adapter as cmsis_nn
from miniml.errors import ModeError
from miniml.float_model import FloatModel
from miniml.float_net import FLOAT_MODES, FloatMode, make_float_net
from miniml.model import QuantizedModel


@dataclass(frozen=True, eq=False)
class ExportJob:
    """What every backend gets.

    Attributes:
        model: the quantized model; its name prefixes every symbol.
        float_model: what it was quantized from: the float modes take weights or biases of it.
        source: what it was trained from, for the header's first lines.
        kernels: mode int8: the layers are in assembly, not in the header.
    """

    model: QuantizedModel
    float_model: FloatModel
    source: str
    kernels: bool = False


Backend = Callable[[ExportJob], str]


def _int8(job: ExportJob) -> str:
    return int8.generate(job.model, job.source, kernels=job.kernels)


def _cmsis_nn(job: ExportJob) -> str:
    return cmsis_nn.generate(job.model, job.source)


def _native(job: ExportJob) -> str:
    return native.generate(job.model, job.source)


def _float(mode: FloatMode) -> Backend:
    def generate(job: ExportJob) -> str:
        return float_modes.generate(make_float_net(job.model, job.float_model, mode), job.source)

    return generate


# A backend a mode; miniml.board_keys.MODES has the same names.
BACKENDS: Mapping[str, Backend] = {
    "int8": _int8,
    "native": _native,
    "cmsis_nn": _cmsis_nn,
    **{mode: _float(mode) for mode in FLOAT_MODES},
}


def export(
    model: QuantizedModel,
    float_model: FloatModel,
    mode: str,
    source: str,
    *,
    alias: str | None = None,
    kernels: bool = False,
) -> str:
    """The text of `<name>_model.h`.

    Args:
        model: any quantized model.
        float_model: what `model` was quantized from.
        mode: a key of BACKENDS.
        source: what it was trained from, for the header's first lines.
        alias: a second name for `<name>_predict` without the model's prefix, such as
            "predict"; None: every symbol has the prefix.
        kernels: mode int8: the layers are in `<name>_kernels.S` (miniml.kernels).

    Raises:
        ModeError: there is no such mode; names the nearest one.
        ModelError: the model's name, or the alias, can't be a C symbol.
    """
    text = backend(mode)(ExportJob(model, float_model, source, kernels))
    if alias is None:
        return text
    # Inside the include guard, which is the header's last line.
    body, guard = text[: text.rindex("#endif")], text[text.rindex("#endif") :]
    return body + render("alias.h.j2", name=model.name, alias=check_name(alias)) + "\n" + guard


def backend(mode: str) -> Backend:
    """The backend of a mode.

    Raises:
        ModeError: there is none; names the nearest one.
    """
    if mode not in BACKENDS:
        close = difflib.get_close_matches(str(mode), list(BACKENDS), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(BACKENDS)}"
        raise ModeError(f"there is no export mode {mode!r}: {hint}")
    return BACKENDS[mode]
