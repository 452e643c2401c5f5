"""What a MiniNeuralNetwork knows, as one immutable value: a failed call can't leave half of it."""

from __future__ import annotations

from dataclasses import dataclass

from miniml.calibration import Calibration
from miniml.float_model import FloatModel
from miniml.model import QuantizedModel
from miniml.network_settings import NetworkSettings
from miniml.settings import Settings


@dataclass(frozen=True, eq=False)
class Fitted:
    """What training and calibration left.

    Attributes:
        settings: of the run, defaults filled in.
        source: what it was trained from, for the header's first lines.
        float_model: float32 weights and scalers.
        calibration: ranges of the activations.
    """

    settings: Settings
    source: str
    float_model: FloatModel
    calibration: Calibration


@dataclass(frozen=True, eq=False)
class NetworkState:
    """Settings, then what `fit` and `quantize` made, as far as they were called.

    Attributes:
        per_channel: how `quantized` was made.
    """

    settings: NetworkSettings
    fitted: Fitted | None = None
    quantized: QuantizedModel | None = None
    per_channel: bool = True
