"""The golden headers: `python tests/golden_headers.py` writes them anew."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))  # it also runs as a script

from miniml.adapters import firmware  # noqa: E402
from miniml.adapters.export import export  # noqa: E402
from miniml.board_keys import MODES  # noqa: E402
from miniml.boards import in_mode, load_boards  # noqa: E402
from miniml.float_model import FloatLayer, FloatModel  # noqa: E402
from miniml.model import DenseLayer, InputQuantizer, QuantizedModel  # noqa: E402
from miniml.scaling import Scaler  # noqa: E402

FOLDER = Path(__file__).with_name("golden")
HEADERS = {f"tiny_{mode}.h": mode for mode in MODES}
FIRMWARE = {"miniml_firmware.h": "int8"}
FIRMWARE |= {f"miniml_firmware_{mode}.h": mode for mode in ("native", "float32")}
NAMES = (*FIRMWARE, *HEADERS)


def text(name: str) -> str:
    """What the generators make of a small model, by the name of its file."""
    if name in FIRMWARE:
        board = in_mode(load_boards(REPOSITORY)["uno"], FIRMWARE[name])
        return firmware.generate(tiny_model(), board)
    return export(tiny_model(), tiny_float_model(), HEADERS[name], "tiny.csv")


def tiny_float_model() -> FloatModel:
    """Of the same shape; nobody quantized it to `tiny_model`."""
    return FloatModel(
        task="classification",
        features=("temperature", "humidity", "wind */ speed"),
        labels=("dry", "wet"),
        scaler=Scaler(np.array([20.0, 0.5, -1e-7]), np.array([0.1, 2.0, 1 / 3])),
        target_scaler=None,
        layers=(
            FloatLayer(
                np.array([[1, -0.1, 0], [2, 1 / 3, 7], [-1, 5, 0], [9, 3, -8]], np.float32),
                np.array([0.0, -0.25, 1e-20, 123456.789], np.float32),
                "tanh",
            ),
            FloatLayer(
                np.array([[1, -1, 0.1, 0], [-0.2, 2, 3, -4]], np.float32),
                np.array([-5.0, 5.0], np.float32),
                "linear",
            ),
        ),
        softmax=True,
    )


def tiny_model() -> QuantizedModel:
    """3-4-2 with a table, written out so that no generator of random numbers matters."""
    table = np.clip(np.arange(-128, 128) * 2, -127, 127).astype(np.int8)
    hidden = DenseLayer(
        weights=np.array([[127, -3, 0], [1, 2, 127], [-127, 64, 5], [90, 127, -127]], np.int8),
        bias=np.array([0, -1000, 123456, 7], np.int32),
        weight_scales=np.array([0.01, 0.02, 0.03, 0.04]),
        multipliers=np.array([2**30, 2**31 - 1, 1500000000, 1234567890], np.int32),
        shifts=np.array([-7, -8, -9, 1], np.int8),
        input_scale=0.125,
        output_scale=0.25,
        activation="tanh",
        activation_min=-127,
        activation_max=127,
        table=table,
    )
    output = DenseLayer(
        weights=np.array([[127, -127, 1, 0], [-1, 127, 64, -64]], np.int8),
        bias=np.array([-5, 5], np.int32),
        weight_scales=np.array([0.5, 0.25]),
        multipliers=np.array([1100000000, 2000000000], np.int32),
        shifts=np.array([-8, 0], np.int8),
        input_scale=1 / 127,
        output_scale=0.5,
        activation="linear",
        activation_min=-127,
        activation_max=127,
    )
    return QuantizedModel(
        name="tiny",
        task="classification",
        features=("temperature", "humidity", "wind */ speed"),
        labels=("dry", "wet"),
        input=InputQuantizer(
            np.array([1.0, 0.1, 12.7], np.float32), np.array([0.0, -3.5, 1e-7], np.float32), 0
        ),
        layers=(hidden, output),
        output_scale=np.array([0.5, 0.5]),
        output_offset=np.array([0.0, 0.0]),
    )


def main() -> int:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name in NAMES:
        (FOLDER / name).write_text(text(name), encoding="utf-8")
        print(f"wrote {FOLDER / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
