"""The parameters of a MiniNeuralNetwork, checked by the rules of model.toml."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from miniml.adapters.c_text import check_name
from miniml.errors import ModelNameError, SettingsError
from miniml.setting_checks import MAX_WIDTH, NAME_PATTERN, RESERVED_PREFIX, widths
from miniml.settings import (
    SECTIONS,
    ModelSettings,
    QuantizationSettings,
    Settings,
    TrainingSettings,
    parse_settings,
)
from miniml.table import Task

# What one may set, and the section of model.toml that has its rule.
# Bias correction needs the calibration rows when quantizing; a network keeps only the ranges.
_LEFT_OUT = {"name", "task", "hidden", "train", "bias_correction"}
SECTION_OF = {
    "scaling": "data",
    **{
        field.name: name
        for name, kind in (
            ("model", ModelSettings),
            ("training", TrainingSettings),
            ("quantization", QuantizationSettings),
        )
        for field in dataclasses.fields(kind)
        if field.name not in _LEFT_OUT
    },
}
DEFAULTS: Mapping[str, Any] = {
    "scaling": "none",
    "epochs": 500,
    "learning_rate": 0.02,
    "calibration": "train",
}
MAX_INPUTS = 65535
# A table this small has minima in which training gets stuck, and costs nothing to try again.
SMALL_TABLE = 100
RESTARTS = 20


@dataclass(frozen=True)
class NetworkSettings:
    """What a network was made with; `fit` never changes it.

    Attributes:
        n_inputs, n_outputs: columns of features, outputs of the last layer.
        hidden: width of each hidden layer.
        name: prefix of the generated C.
        task: "auto" asks the labels (miniml.table).
        options: further settings by their names in model.toml, as given.
    """

    n_inputs: int
    hidden: tuple[int, ...]
    n_outputs: int
    name: str = "model"
    task: Task | Literal["auto"] = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check everything that can be checked before there is data.

        Raises:
            SettingsError: a name, type or range; UnknownActivationError: an activation.
            ModelNameError: a name that can't prefix C symbols.
        """
        _check_width("n_inputs", self.n_inputs, MAX_INPUTS)
        try:
            widths(list(self.hidden))
        except ValueError as error:
            raise SettingsError(f"n_hidden {error}, but is {list(self.hidden)}") from None
        _check_width("n_outputs", self.n_outputs, MAX_WIDTH)
        check_c_name(self.name)
        if self.task not in ("auto", "classification", "regression"):
            raise SettingsError(
                f"{self.name}: task must be 'auto', 'classification' or 'regression', "
                f"but is {self.task!r}"
            )
        for key in self.options:
            if key not in SECTION_OF:
                near = difflib.get_close_matches(key, SECTION_OF, n=1)
                known = f"the parameters are {', '.join(sorted(SECTION_OF))}"
                hint = f"did you mean {near[0]!r}?" if near else known
                raise SettingsError(f"{self.name}: no parameter {key!r}: {hint}")
        self._parse("classification" if self.task == "auto" else self.task, 1)

    def resolve(self, task: Task, rows: int) -> Settings:
        """Every setting of one run, defaults filled in.

        Args:
            task: of the data.
            rows: of the data; up to SMALL_TABLE there are RESTARTS unless they were set.

        Raises:
            SettingsError: settings that this task can't have.
        """
        settings = self._parse(task, rows)
        if task == "classification":
            one = settings.output_activation in ("sigmoid", "tanh")
            if self.n_outputs == 1 and not one:
                raise SettingsError(
                    f"{self.name}: output_activation {settings.output_activation!r} needs an "
                    "output a class: set n_outputs=2, or leave it 'auto'"
                )
            if self.n_outputs == 2 and one:
                raise SettingsError(
                    f"{self.name}: output_activation {settings.output_activation!r} tells two "
                    "classes apart with one output: set n_outputs=1, or leave it 'auto'"
                )
        return settings

    def _parse(self, task: Task, rows: int) -> Settings:
        sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
        given = {key: value for key, value in self.options.items() if value is not None}
        restarts = RESTARTS if rows <= SMALL_TABLE else 0
        for key, value in {**DEFAULTS, "restarts": restarts, **given}.items():
            sections[SECTION_OF[key]][key] = value
        model = sections["model"]
        model |= {"name": self.name, "task": task, "hidden": list(self.hidden)}
        sections["data"]["split"] = "all"
        output = model.get("output_activation", "auto")
        if output == "auto" and task == "classification" and self.n_outputs == 1:
            model["output_activation"] = "sigmoid"
        return parse_settings(sections, Path(self.name))


def network_settings(
    n_inputs: int, n_hidden: int | Sequence[int], n_outputs: int, parameters: Mapping[str, Any]
) -> NetworkSettings:
    """The settings of a constructor's arguments.

    Raises:
        SettingsError, ModelNameError: see NetworkSettings.
    """
    given = _plain(n_hidden)
    hidden = [given] if isinstance(given, int) else given
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise SettingsError(
            f"n_hidden must be a whole number or a list of them, but is {n_hidden!r}"
        )
    options = {key: _plain(value) for key, value in parameters.items()}
    return NetworkSettings(
        n_inputs=_plain(n_inputs),
        hidden=tuple(map(_plain, hidden)),
        n_outputs=_plain(n_outputs),
        name=options.pop("name", "model"),
        task=cast(Any, options.pop("task", "auto")),
        options=options,
    )


def _plain(value: Any) -> Any:
    """A numpy scalar or array as Python's; everything else as it is."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def check_c_name(name: str) -> None:
    """Refuse a name that can't prefix C symbols, and say which could.

    Raises:
        ModelNameError: not `[a-z][a-z0-9_]{0,31}`, a keyword of C or C++, or the library's.
    """
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        proposal = "".join(c if c.isascii() and c.isalnum() else "_" for c in str(name).lower())
        proposal = proposal.strip("_")[:30] or "model"
        proposal = proposal if proposal[0].isalpha() else f"m_{proposal}"
        raise ModelNameError(
            f"model name {name!r} can't prefix C symbols: use a lower-case letter, then up to 31 "
            f"lower-case letters, digits or underscores, such as {proposal!r}"
        )
    if name.startswith(RESERVED_PREFIX):
        raise ModelNameError(
            f"model name {name!r} begins with {RESERVED_PREFIX!r}, the library's own prefix: "
            "choose another"
        )
    check_name(name)


def _check_width(what: str, value: Any, limit: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
        raise SettingsError(f"{what} must be a whole number from 1 to {limit}, but is {value!r}")
