"""MiniNeuralNetwork, the class of the quantization guide: a thin face over the stages.

It holds no arithmetic: rows become a Dataset (miniml.table), then `training.train`,
`calibration.calibrate`, `quantization.quantize`, `reference` and `adapters.export` do the work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from miniml import reference
from miniml.adapters.export import export
from miniml.calibration import calibrate
from miniml.calibration_report import RangeReport, report_ranges
from miniml.dataset import Dataset, Split
from miniml.errors import CalibrationError, NotFittedError, NotQuantizedError
from miniml.fixed_point import quantize_multiplier
from miniml.float_model import FloatModel
from miniml.layer_attributes import is_layer_attribute, layer_attribute, layer_attributes
from miniml.model import QuantizedModel
from miniml.network_options import NetworkOptions
from miniml.network_settings import network_settings
from miniml.network_state import Fitted, NetworkState
from miniml.quantization import activation_scales, quantize
from miniml.table import Rows, read_features, read_rows
from miniml.training import train


class MiniNeuralNetwork:
    """A multilayer perceptron that is trained, calibrated, quantized and exported.

    After `quantize` each layer i (from 1) has, read only:

    - `q_W<i>`: int8, (n_outputs, n_inputs), the weights;
    - `i32_B<i>`: int32, (n_outputs,), the biases, at scale input scale * row scale;
    - `requant_mult<i>`: float64, (n_outputs,), real multipliers to the output's scale;
    - `s_W<i>_list`: float64, (n_outputs,), the row scales; all equal with per_channel=False.

    A call that fails leaves the network as it was.
    """

    def __init__(
        self,
        n_inputs: int,
        n_hidden: int | Sequence[int] = 16,
        n_outputs: int = 1,
        **settings: Unpack[NetworkOptions],
    ) -> None:
        """Nothing is trained yet.

        Args:
            n_inputs: features of a row.
            n_hidden: width of the hidden layer, or of each; [] for none.
            n_outputs: 1 for two classes or a number; k for k classes or k numbers.
            settings: `name` (prefix of the generated C, "model"), `task` ("auto",
                "classification", "regression"), and by their names in docs/MODEL_TOML.md
                `activation`, `output_activation`, `scaling` ("none"), `epochs` (500),
                `learning_rate` (0.02), `seed` and every other key of [training] and
                [quantization] but bias_correction. `per_channel` there only says what
                `qat_epochs` train for. None is the default.

        Raises:
            SettingsError: an unknown name, a wrong type or range.
            UnknownActivationError: no such activation.
            ModelNameError: a name that can't prefix C symbols.
        """
        self._state = NetworkState(network_settings(n_inputs, n_hidden, n_outputs, settings))

    @classmethod
    def from_state(cls, state: NetworkState) -> MiniNeuralNetwork:
        """The network of a state, such as one read from a file."""
        network = cls.__new__(cls)
        network._state = state
        return network

    @property
    def state(self) -> NetworkState:
        """Everything the network knows; immutable."""
        return self._state

    @property
    def name(self) -> str:
        """Prefix of the generated C."""
        return self._state.settings.name

    @property
    def n_inputs(self) -> int:
        """Features of a row."""
        return self._state.settings.n_inputs

    @property
    def n_hidden(self) -> tuple[int, ...]:
        """Width of each hidden layer."""
        return self._state.settings.hidden

    @property
    def n_outputs(self) -> int:
        """Outputs of the last layer."""
        return self._state.settings.n_outputs

    @property
    def fitted(self) -> bool:
        """Whether `fit` has succeeded."""
        return self._state.fitted is not None

    @property
    def quantized(self) -> bool:
        """Whether there is a quantized model of these weights and ranges."""
        return self._state.quantized is not None

    @property
    def float_model(self) -> FloatModel:
        """The trained float32 weights with their scalers.

        Raises:
            NotFittedError: before `fit`.
        """
        return self._fitted("float_model").float_model

    @property
    def quantized_model(self) -> QuantizedModel:
        """The int8 model, from which everything is generated.

        Raises:
            NotQuantizedError: before `quantize`.
        """
        model = self._state.quantized
        if model is None:
            raise NotQuantizedError(f"{self.name}: not quantized yet: call quantize() first")
        return model

    @property
    def act_scales(self) -> dict[str, float]:
        """Real value of one int8 step of each activation; empty before `fit`.

        "input", then "hidden", "hidden2", "hidden3", ... for the hidden layers, then "output".
        It is absmax / 127 of what calibration saw, and 1/127 behind sigmoid and tanh.
        """
        fitted = self._state.fitted
        if fitted is None:
            return {}
        depth = len(fitted.float_model.layers)
        hidden = [f"hidden{i}" if i > 1 else "hidden" for i in range(1, depth)]
        scales = activation_scales(fitted.float_model, fitted.calibration)
        return dict(zip(["input", *hidden, "output"], scales, strict=True))

    def __getattr__(self, name: str) -> NDArray[Any]:
        """The arrays of one layer; see the class."""
        if is_layer_attribute(name):
            return layer_attribute(self.quantized_model, name)
        # Once more, so that a property's own error is what the caller sees.
        return super().__getattribute__(name)  # type: ignore[no-any-return]

    def __dir__(self) -> list[str]:
        """With the arrays of the layers, for completion."""
        model = self._state.quantized
        return [*super().__dir__(), *layer_attributes(len(model.layers) if model else 0)]

    def __repr__(self) -> str:
        """Such as <MiniNeuralNetwork xor_nn 2-4-1: fitted, int8 per_channel 1f0c53b2>."""
        settings = self._state.settings
        shape = "-".join(map(str, (settings.n_inputs, *settings.hidden, settings.n_outputs)))
        done = "fitted" if self.fitted else "not fitted"
        if self._state.quantized is not None:
            kind = "per_channel" if self._state.per_channel else "per_layer"
            done += f", int8 {kind} {self._state.quantized.model_id[:8]}"
        return f"<{type(self).__name__} {settings.name} {shape}: {done}>"

    def fit(self, dataset: Rows) -> MiniNeuralNetwork:
        """Train on every row and calibrate on them; what was quantized is dropped.

        Args:
            dataset: rows of n_inputs features and one or n_outputs label columns
                (miniml.table says what they mean); it is not written to.

        Raises:
            EmptyDataError, ShapeError, LabelError, OneClassError, DataError: the rows.
            SettingsError: settings that this task can't have.
            CalibrationError: nothing but zeros.
            ModelError: training diverged.
        """
        settings = self._state.settings
        table = read_rows(dataset, settings.n_inputs, settings.n_outputs, settings.task)
        _refuse_zeros(table)
        run = settings.resolve(_task(table), table.rows)
        split = _every_row(table)
        float_model = train(table, split, run, _silent)
        ranges = calibrate(float_model, table, split, run)
        fitted = Fitted(run, f"{table.rows} rows", float_model, ranges)
        self._state = NetworkState(settings, fitted)
        return self

    def calibrate(self, dataset: Rows) -> dict[str, float]:
        """Measure the ranges of all activations anew; what was quantized is dropped.

        `fit` has done it with the training rows.

        Args:
            dataset: rows with or without their labels.

        Returns:
            The new `act_scales`.

        Raises:
            NotFittedError: before `fit`.
            EmptyDataError, ShapeError, DataError: the rows.
            CalibrationError: nothing but zeros.
        """
        fitted = self._fitted("calibrate")
        settings = self._state.settings
        table = read_features(dataset, settings.n_inputs, settings.n_outputs)
        _refuse_zeros(table)
        ranges = calibrate(fitted.float_model, table, _every_row(table), fitted.settings)
        self._state = NetworkState(settings, dataclasses.replace(fitted, calibration=ranges))
        return self.act_scales

    def report_ranges(self, dataset: Rows) -> tuple[RangeReport, ...]:
        """How sure the ranges are that `calibrate` would find, and which rows set them.

        Args:
            dataset: rows with or without their labels.

        Returns:
            The input's report, then each layer's; rows count from 1.

        Raises:
            NotFittedError, EmptyDataError, ShapeError, DataError, CalibrationError: see
            `calibrate`.
        """
        fitted = self._fitted("report_ranges")
        table = read_features(dataset, self.n_inputs, self.n_outputs)
        return report_ranges(fitted.float_model, table, _every_row(table), fitted.settings)

    def quantize(self, per_channel: bool = True) -> MiniNeuralNetwork:
        """Make the int8 model of the weights and the calibrated ranges.

        Args:
            per_channel: a scale for each row of weights; False: one for each layer.

        Raises:
            NotFittedError: before `fit`.
            WeightError, AccumulatorError, MultiplierError: the contract can't carry a layer.
        """
        model = self._quantize(per_channel)
        self._state = dataclasses.replace(
            self._state, quantized=model, per_channel=bool(per_channel)
        )
        return self

    def predict(self, rows: Rows) -> NDArray[Any]:
        """What the float model says; `predict_quantized` is what a device says.

        Args:
            rows: (n, n_inputs) raw features.

        Returns:
            Class indices, int64 (n,), or a regression's values, float64 (n, n_outputs).

        Raises:
            NotFittedError: before `fit`.
            EmptyDataError, ShapeError, DataError: the rows.
        """
        model = self._fitted("predict").float_model
        features = self._features(rows)
        if model.task == "classification":
            return model.predict_classes(features)
        return model.predict_values(features)

    def predict_quantized(self, rows: Rows) -> NDArray[Any]:
        """What the int8 model says, byte for byte as on a device; else as `predict`.

        Returns:
            Class indices, int64 (n,), or a regression's values, float32 (n, n_outputs).

        Raises:
            NotQuantizedError: before `quantize`.
            EmptyDataError, ShapeError, DataError: the rows.
        """
        model = self.quantized_model
        features = self._features(rows).astype(np.float32)
        outputs = reference.run_layers(model, reference.quantize_inputs(model, features))[-1]
        return reference.predict(model, outputs)

    def to_arduino_code(self) -> str:
        """The header in avr_hybrid mode; quantized for it, with the defaults, if it isn't yet.

        Raises:
            NotFittedError: before `fit`.
        """
        return self.to_c("avr_hybrid")

    def to_c(self, mode: str, *, alias: bool = False) -> str:
        """The header `<name>_model.h` in any mode.

        Args:
            mode: of miniml.adapters.export.
            alias: also define the guide's bare `predict`.

        Raises:
            NotFittedError: before `fit`.
            ModeError: no such mode.
        """
        fitted = self._fitted("to_c")
        model = self._state.quantized or self._quantize(per_channel=True)
        name = "predict" if alias else None
        return export(model, fitted.float_model, mode, fitted.source, alias=name)

    @staticmethod
    def _quantize_multiplier(real_multiplier: float) -> tuple[int, int]:
        """The guide's Q31 significand and shift, safe for every number (miniml.fixed_point).

        Raises:
            MultiplierError: negative, NaN, infinite, or too large for a left shift of 30.
        """
        return quantize_multiplier(real_multiplier)

    def _fitted(self, what: str) -> Fitted:
        fitted = self._state.fitted
        if fitted is None:
            raise NotFittedError(f"{self.name}: {what} needs a trained network: call fit() first")
        return fitted

    def _quantize(self, per_channel: bool) -> QuantizedModel:
        fitted = self._fitted("quantize")
        return quantize(
            fitted.float_model,
            fitted.calibration,
            name=self.name,
            per_channel=bool(per_channel),
            nonnegative_input=fitted.settings.quantization.nonnegative_input,
        )

    def _features(self, rows: Rows) -> NDArray[np.float64]:
        return read_features(rows, self.n_inputs).features


def _task(table: Dataset) -> Any:
    return "classification" if table.classes else "regression"


def _every_row(table: Dataset) -> Split:
    rows = np.arange(table.rows, dtype=np.int64)
    return Split(train=rows, calibration=rows, test=rows)


def _refuse_zeros(table: Dataset) -> None:
    if not table.features.any():
        raise CalibrationError(
            f"dataset: all {table.rows} rows hold nothing but zeros, which says nothing about "
            "the ranges: calibrate on rows as the device will see them"
        )


def _silent(epoch: int, epochs: int, loss: float) -> None:
    """Show nothing."""
