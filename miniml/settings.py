"""model.toml: every setting of a model, with its default and range (docs/MODEL_TOML.md)."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from miniml import setting_checks as checks
from miniml.errors import SettingsError, UnknownActivationError

SETTINGS_FILE = "model.toml"

Train = Literal["auto", "frozen"]


def _setting(default: Any, check: checks.Check, *, later: bool = False) -> Any:
    """A key; `later`: added after locks were committed, so at its default it isn't in them."""
    return field(default=default, metadata={"check": check, "later": later})


@dataclass(frozen=True)
class ModelSettings:
    """[model]: what the network is."""

    name: str = _setting("", checks.identifier)
    task: Literal["classification", "regression"] = _setting(
        "classification", checks.choice("classification", "regression")
    )
    hidden: tuple[int, ...] = _setting((16,), checks.widths)
    activation: Literal["relu", "linear", "sigmoid", "tanh"] = _setting(
        "relu", checks.choice("relu", "linear", "sigmoid", "tanh")
    )
    output_activation: Literal["auto", "softmax", "relu", "linear", "sigmoid", "tanh"] = _setting(
        "auto", checks.choice("auto", "softmax", "linear", "sigmoid", "tanh", "relu")
    )
    train: Literal["auto", "frozen"] | None = _setting(None, checks.choice("auto", "frozen"))


@dataclass(frozen=True)
class DataSettings:
    """[data]: where the rows come from and how they are divided."""

    file: str = _setting("data.csv", checks.text)
    label: tuple[str, ...] = _setting(("label",), checks.label)
    ignore: tuple[str, ...] = _setting((), checks.columns)
    scaling: Literal["minmax", "symmetric", "standard", "none"] = _setting(
        "minmax", checks.choice("minmax", "symmetric", "standard", "none")
    )
    split: tuple[float, float, float] | Literal["all"] = _setting((0.7, 0.1, 0.2), checks.split)
    seed: int = _setting(1, checks.integer(0, 2**32 - 1))


@dataclass(frozen=True)
class TrainingSettings:
    """[training]: Adam on minibatches."""

    seed: int = _setting(1, checks.integer(0, 2**32 - 1))
    epochs: int = _setting(100, checks.integer(1, 1_000_000))
    batch_size: int = _setting(32, checks.integer(1, 65536))
    learning_rate: float = _setting(0.01, checks.number(0, 10, above_low=True))
    weight_decay: float = _setting(1e-4, checks.number(0, 1))
    weight_limit: float = _setting(0.0, checks.number(0, 1e6), later=True)
    noise: float = _setting(0.0, checks.number(0, 10))
    restarts: int = _setting(0, checks.integer(0, 1000))
    target_loss: float = _setting(0.05, checks.number(0, 1e9))
    qat_epochs: int = _setting(0, checks.integer(0, 1_000_000), later=True)


@dataclass(frozen=True)
class QuantizationSettings:
    """[quantization]: how the float model becomes int8."""

    per_channel: bool = _setting(True, checks.boolean)
    calibration: Literal["calibration", "train", "both"] = _setting(
        "calibration", checks.choice("calibration", "train", "both")
    )
    percentile: float = _setting(100.0, checks.number(50, 100))
    nonnegative_input: bool = _setting(False, checks.boolean)
    range: Literal["minmax", "percentile", "mse", "kl"] | None = _setting(
        None, checks.choice("minmax", "percentile", "mse", "kl"), later=True
    )
    bias_correction: bool = _setting(False, checks.boolean, later=True)

    @property
    def range_method(self) -> Literal["minmax", "percentile", "mse", "kl"]:
        """`range`; left out, "percentile" where that is below 100, else "minmax"."""
        return self.range or ("percentile" if self.percentile < 100.0 else "minmax")


@dataclass(frozen=True)
class CodeSettings:
    """[code]: what the generated int8 code may spend; decides no byte of an output."""

    kernels: Literal["generated", "portable"] = _setting(
        "generated", checks.choice("generated", "portable")
    )
    optimize: Literal["cycles", "balanced", "flash"] = _setting(
        "balanced", checks.choice("cycles", "balanced", "flash")
    )
    flash_bytes: int | tuple[tuple[str, int], ...] | None = _setting(
        None, checks.by_board(checks.integer(1, 2**24))
    )
    placement: Literal["auto", "flash", "sram"] = _setting(
        "auto", checks.choice("auto", "flash", "sram")
    )

    def flash_bytes_of(self, board: str) -> int | None:
        """What flash_bytes says of a board; None: nothing."""
        if isinstance(self.flash_bytes, tuple):
            return dict(self.flash_bytes).get(board)
        return self.flash_bytes


@dataclass(frozen=True)
class GateSettings:
    """[gates]: figures that fail a build; None is no gate."""

    min_accuracy: float | None = _setting(None, checks.number(0, 100))
    max_accuracy_loss: float | None = _setting(None, checks.number(0, 100))
    max_rmse: float | None = _setting(None, checks.number(0, 1e30))


@dataclass(frozen=True)
class Settings:
    """One model.toml, checked and with every default filled in."""

    path: Path
    model: ModelSettings
    data: DataSettings
    training: TrainingSettings
    quantization: QuantizationSettings
    code: CodeSettings
    gates: GateSettings

    @property
    def model_dir(self) -> Path:
        """The folder that holds model.toml, the CSV and the lock."""
        return self.path.parent

    @property
    def data_path(self) -> Path:
        """The CSV; a relative name counts from model.toml."""
        return self.model_dir / self.data.file

    @property
    def output_activation(self) -> Literal["softmax", "relu", "linear", "sigmoid", "tanh"]:
        """ "auto" resolved: softmax for classification, linear for regression."""
        chosen = self.model.output_activation
        if chosen != "auto":
            return chosen
        return "softmax" if self.model.task == "classification" else "linear"

    def training_content(self) -> dict[str, Any]:
        """What decides the float weights, as plain JSON: a change means training again."""
        content = _plain({"model": self.model, "data": self.data, "training": self.training})
        for unrelated in ("name", "train"):
            del content["model"][unrelated]
        del content["data"]["file"]
        if self.training.qat_epochs:
            content |= _plain({"quantization": self.quantization})
        return content

    def quantization_content(self) -> dict[str, Any]:
        """What else decides the quantized model: a change means quantizing again."""
        return _plain({"quantization": self.quantization}) | {"name": self.model.name}

    def check_boards(self, boards: Iterable[str]) -> None:
        """Refuse [code] flash_bytes of a board that is none of these.

        Raises:
            SettingsError: names the board and the nearest one.
        """
        limits, known = self.code.flash_bytes, tuple(boards)
        for board, _ in limits if isinstance(limits, tuple) else ():
            if board not in known:
                near = difflib.get_close_matches(board, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
                raise SettingsError(
                    f"{self.path}: [code] flash_bytes: no board {board!r} in boards.ini: {hint}"
                )

    def resolve_train(self, override: Train | None = None) -> Train:
        """The caller's choice, else model.toml's, else frozen where CI is set, else auto."""
        if override or self.model.train:
            return override or self.model.train or "auto"
        return "frozen" if os.environ.get("CI", "").lower() not in ("", "0", "false") else "auto"


SECTIONS: dict[str, type[Any]] = {
    "model": ModelSettings,
    "data": DataSettings,
    "training": TrainingSettings,
    "quantization": QuantizationSettings,
    "code": CodeSettings,
    "gates": GateSettings,
}


def _plain(sections: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, section in sections.items():
        content[name] = {}
        for key in dataclasses.fields(section):
            value = getattr(section, key.name)
            if not (key.metadata["later"] and value == key.default):
                content[name][key.name] = list(value) if isinstance(value, tuple) else value
    return content


def load_settings(model_dir: Path) -> Settings:
    """Read model_dir/model.toml.

    Raises:
        SettingsError: missing, no TOML, or an unknown key, wrong type or range in it.
    """
    path = model_dir / SETTINGS_FILE
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsError(
            f"{path}: not found: create it (docs/MODEL_TOML.md) or name another model folder"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror}): check its rights") from None
    return parse_toml(content, path)


def parse_toml(content: bytes, path: Path) -> Settings:
    """The settings in the bytes of a model.toml; `path` is where they came from.

    Raises:
        SettingsError: see `load_settings`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text ({error.reason}): save it as UTF-8") from None
    try:
        parsed = tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise SettingsError(f"{path}: brackets nested too deep: correct that line") from None
    except ValueError as error:  # also a whole number of thousands of digits
        last = f"line {len(text.splitlines())}"
        reason = str(error).replace("end of document", last)
        raise SettingsError(f"{path}: no valid TOML: {reason}: correct that line") from None
    return parse_settings(parsed, path)


def parse_settings(content: dict[str, Any], path: Path) -> Settings:
    """Check the parsed TOML; `path` is where it came from.

    Raises:
        SettingsError: see `load_settings`.
    """
    for name, values in content.items():
        if name not in SECTIONS:
            raise SettingsError(f"{path}: no section or key {name!r}: {_nearest_section(name)}")
        if not isinstance(values, dict):
            raise SettingsError(f"{path}: {name!r} must be a section: write [{name}]")
    parsed = {
        name: _parse_section(name, kind, content.get(name, {}), path)
        for name, kind in SECTIONS.items()
    }
    settings = Settings(path=path, **parsed)
    if not settings.model.name:
        named = dataclasses.replace(settings.model, name=_folder_name(path))
        settings = dataclasses.replace(settings, model=named)
    _check_together(settings)
    return settings


def _parse_section(name: str, kind: type[Any], values: dict[str, Any], path: Path) -> Any:
    rules = {f.name: f.metadata["check"] for f in dataclasses.fields(kind)}
    parsed = {}
    for key, value in values.items():
        if key not in rules:
            raise SettingsError(f"{path}: [{name}] has no key {key!r}: {_nearest_key(name, key)}")
        try:
            parsed[key] = rules[key](value)
        except ValueError as error:
            failure = UnknownActivationError if "activation" in key else SettingsError
            raise failure(f"{path}: [{name}] {key} {error}, but is {value!r}") from None
    return kind(**parsed)


def _nearest_section(name: str) -> str:
    for section, kind in SECTIONS.items():
        if name in {f.name for f in dataclasses.fields(kind)}:
            return f"it belongs into section [{section}]"
    near = difflib.get_close_matches(name, SECTIONS, n=1, cutoff=0.5)
    if near:
        return f"did you mean [{near[0]}]?"
    return f"the sections are {', '.join(f'[{section}]' for section in SECTIONS)}"


def _nearest_key(section: str, key: str) -> str:
    keys = [f.name for f in dataclasses.fields(SECTIONS[section])]
    for other, kind in SECTIONS.items():
        if key in {f.name for f in dataclasses.fields(kind)}:
            return f"it belongs into section [{other}]"
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"its keys are {', '.join(keys)}"


def _folder_name(path: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", path.resolve().parent.name.lower()).strip("_")
    reserved = name.startswith(checks.RESERVED_PREFIX) or name in checks.RESERVED
    if not name or not name[0].isalpha() or reserved:
        name = f"model_{name}".rstrip("_")
    return name[:32]


def _check_together(settings: Settings) -> None:
    path, regression = settings.path, settings.model.task == "regression"
    if regression and settings.model.output_activation == "softmax":
        raise SettingsError(
            f"{path}: [model] output_activation 'softmax' is for classification: use 'linear'"
        )
    if not regression and len(settings.data.label) > 1:
        raise SettingsError(
            f"{path}: [data] label names {len(settings.data.label)} columns, "
            "but classification takes one"
        )
    for key in ("min_accuracy", "max_accuracy_loss") if regression else ("max_rmse",):
        if getattr(settings.gates, key) is not None:
            raise SettingsError(
                f"{path}: [gates] {key} doesn't apply to {settings.model.task}: remove it"
            )
    quantization = settings.quantization
    if quantization.percentile < 100.0 and quantization.range not in (None, "percentile"):
        raise SettingsError(
            f"{path}: [quantization] percentile is for range 'percentile', but range is "
            f"{quantization.range!r}: remove one"
        )
    overlap = set(settings.data.label) & set(settings.data.ignore)
    if overlap:
        raise SettingsError(
            f"{path}: [data] ignore names the label {sorted(overlap)[0]!r}: take it out of one"
        )
