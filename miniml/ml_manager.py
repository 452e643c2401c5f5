"""The guide's registry: train, name, export, save and load networks.

    from miniml import ml_manager

    ml_manager.train_pipeline("xor_nn", rows, params={"n_hidden": 4}, scaling="minmax")
    header = ml_manager.export_to_c("xor_nn", target="uno")

One registry a process. A call that fails leaves it as it was.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from miniml.accuracy import check_accuracy_loss, evaluate
from miniml.boards import load_boards, pick_board
from miniml.errors import ModelError, SettingsError, UnknownModelError
from miniml.ml_runtime import MiniNeuralNetwork
from miniml.network_file import load_network, save_network
from miniml.network_settings import check_c_name
from miniml.table import Rows, infer_shape, matrix

MODEL_TYPES = ("neural_network",)
# What the guide tries in turn where no mode is named.
AUTOMATIC = ("cmsis_nn", "avr_hybrid", "int8")
# The guide's hardware table, but for the integer mode: docs/GUIDE_NOTES.md has the figures.
MODE_OF_CORE = {"avr": "int8", "cortex-m4": "cmsis_nn", "cortex-m0plus": "int8"}

_models: dict[str, MiniNeuralNetwork] = {}


@dataclass(frozen=True)
class PipelineResult:
    """What `train_pipeline` made.

    Attributes:
        model_name: its name in the registry and in the generated C.
        model_type: "neural_network".
        model: the network; quantized already where a loss gate was asked for.
        rows: how many it was trained on.
        score: over these rows, as `evaluate` gives it.
        accuracy_loss: what int8 costs of it; None without a gate.
    """

    model_name: str
    model_type: str
    model: MiniNeuralNetwork
    rows: int
    score: float
    accuracy_loss: float | None = None


def train_pipeline(
    model_name: str,
    dataset: Rows,
    model_type: str = "neural_network",
    params: Mapping[str, Any] | None = None,
    scaling: Literal["minmax", "standard", "symmetric", "none"] | None = None,
    *,
    max_accuracy_loss: float | None = None,
) -> PipelineResult:
    """Train a network and register it; one of that name is replaced.

    Args:
        model_name: a lower-case C identifier; prefix of the generated C.
        dataset: rows of features and label(s) (miniml.table); copied, never written to.
        model_type: "neural_network".
        params: of MiniNeuralNetwork; n_inputs and n_outputs may be left out, the rows show
            them (`table.infer_shape`).
        scaling: fitted on the rows and folded into the exported code; None: raw values.
        max_accuracy_loss: quantize too, and refuse to lose more of the score; 0.02 is the
            guide's rule.

    Raises:
        ModelNameError, SettingsError, UnknownActivationError: the arguments.
        EmptyDataError, ShapeError, LabelError, OneClassError, DataError: the rows.
        AccuracyLossError: the gate is missed.
        ModelError: see MiniNeuralNetwork.fit and quantize.
    """
    if model_type not in MODEL_TYPES:
        raise SettingsError(
            f"model_type {model_type!r}: only {', '.join(map(repr, MODEL_TYPES))} is there"
        )
    check_c_name(model_name)
    if not isinstance(params, Mapping | None):
        raise SettingsError(f"params must be a dict of MiniNeuralNetwork's, but is {params!r}")
    table = matrix(dataset)
    settings = {**(params or {}), "name": model_name}
    if scaling is not None:
        settings["scaling"] = scaling
    n_inputs, n_outputs = infer_shape(
        table, settings.pop("n_inputs", None), settings.pop("n_outputs", None)
    )
    n_hidden = settings.pop("n_hidden", 16)
    network = MiniNeuralNetwork(n_inputs, n_hidden, n_outputs, **settings).fit(table)
    loss = None
    if max_accuracy_loss is not None:
        loss = check_accuracy_loss(network.quantize(), table, max_accuracy_loss)
    result = PipelineResult(
        model_name, model_type, network, len(table), evaluate(network, table), loss
    )
    _models[model_name] = network
    return result


def register_model(model: MiniNeuralNetwork) -> None:
    """Register a network that was made without `train_pipeline`, under its own name.

    Raises:
        SettingsError: it is no MiniNeuralNetwork.
    """
    if not isinstance(model, MiniNeuralNetwork):
        raise SettingsError(f"register_model takes a MiniNeuralNetwork, but got {model!r}")
    _models[model.name] = model


def export_to_c(
    name: str,
    target: str | None = None,
    mode: str | None = None,
    alias: bool = False,
    *,
    project_dir: Path | str = ".",
) -> str:
    """The C header of a registered network; it is quantized first if it wasn't yet.

    Args:
        name: of the network.
        target: a board of boards.ini, which picks the mode; None: CMSIS-NN with its portable
            fallback, else the hybrid mode, as the guide says.
        mode: "native", "cmsis_nn", "avr_hybrid", "int8" or "float32"; overrides all that.
        alias: define the guide's bare `predict` too; one model of a firmware may have it.
        project_dir: holds boards.ini, read where a target is named.

    Raises:
        UnknownModelError: no network of that name.
        ModeError: no such mode.
        SettingsError: no such board, or no boards.ini.
        ModelError: see MiniNeuralNetwork.quantize.
    """
    network = get_model(name)
    if target is not None:
        board = pick_board(load_boards(Path(project_dir)), target)
        mode = mode or MODE_OF_CORE[board.core]
    text = _automatic(network, alias) if mode is None else network.to_c(mode, alias=alias)
    if not network.quantized:
        network.quantize()
    return text


def save_model(name: str, path: Path | str) -> None:
    """Write everything about a network into one JSON (miniml.network_file).

    Raises:
        UnknownModelError: no network of that name.
        MiniMLError: the file can't be written; an old one is as it was.
    """
    save_network(get_model(name).state, Path(path))


def load_model(name: str, path: Path | str) -> MiniNeuralNetwork:
    """Register what `save_model` wrote, under `name`, which may be another than it had.

    Raises:
        ModelFileError: missing, damaged, or of a version that this one doesn't read.
        ModelNameError: `name` can't prefix C symbols.
    """
    check_c_name(name)
    network = MiniNeuralNetwork.from_state(load_network(Path(path), name))
    _models[name] = network
    return network


def get_model(name: str) -> MiniNeuralNetwork:
    """The network of that name.

    Raises:
        UnknownModelError: there is none; names the nearest one.
    """
    if not isinstance(name, str) or name not in _models:
        near = difflib.get_close_matches(str(name), _models, n=1)
        hint = (
            f"did you mean {near[0]!r}?"
            if near
            else "train_pipeline, register_model or load_model adds one"
        )
        raise UnknownModelError(f"no model {name!r}: {hint}")
    return _models[name]


def list_models() -> tuple[str, ...]:
    """The names in the registry, in the order they came."""
    return tuple(_models)


def remove_model(name: str) -> None:
    """Forget a network.

    Raises:
        UnknownModelError: there is none of that name.
    """
    get_model(name)
    del _models[name]


def _automatic(network: MiniNeuralNetwork, alias: bool) -> str:
    """The first mode of AUTOMATIC that carries the model."""
    *first, last = AUTOMATIC
    for mode in first:
        with contextlib.suppress(ModelError):
            return network.to_c(mode, alias=alias)
    return network.to_c(last, alias=alias)
