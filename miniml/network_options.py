"""What one may set of a MiniNeuralNetwork, for type checkers and editors.

The names, meanings and ranges are those of docs/MODEL_TOML.md; None is the default.
"""

from __future__ import annotations

from typing import Literal, TypedDict

Activation = Literal["relu", "linear", "sigmoid", "tanh"]


class NetworkOptions(TypedDict, total=False):
    """Keyword arguments; `network_settings` checks their values and refuses other names."""

    name: str
    task: Literal["auto", "classification", "regression"]
    # [model]
    activation: Activation | None
    output_activation: Literal["auto", "softmax", "relu", "linear", "sigmoid", "tanh"] | None
    # [data]
    scaling: Literal["minmax", "symmetric", "standard", "none"] | None
    # [training]
    seed: int | None
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    weight_decay: float | None
    weight_limit: float | None
    noise: float | None
    restarts: int | None
    target_loss: float | None
    qat_epochs: int | None
    # [quantization]
    per_channel: bool | None
    calibration: Literal["calibration", "train", "both"] | None
    percentile: float | None
    nonnegative_input: bool | None
    range: Literal["minmax", "percentile", "mse", "kl"] | None
