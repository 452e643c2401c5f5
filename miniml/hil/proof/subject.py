"""What a build computes, the rows that it is put to, and the figures foretold for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from miniml.boards import Board, in_mode
from miniml.cost import Cost, foretell
from miniml.errors import StaleFirmwareError
from miniml.float_net import DeviceModel, device_model
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.proof.device_rows import Values, hard_rows, rows_of
from miniml.hil.proof.hard_inputs import hard_floats
from miniml.hil.proof.identity import check_kernels
from miniml.kernels.choice import kernels_for
from miniml.model import Float32Array, QuantizedModel
from miniml.pipeline import Prepared


@dataclass(frozen=True, eq=False)
class Subject:
    """One build's model, and what it is judged by.

    Attributes:
        model: integers or floats, by the build's mode.
        rows: test rows as that model takes them, (n, n_inputs) int8 or float32.
        features: all test rows, float32, raw.
        labels: of `rows`: class indices, or targets.
        cost: foretold; cycles row by row where they are known.
        packed: a bundle's inputs by suite; None: they are made where they are wanted.
    """

    model: DeviceModel
    rows: Values
    features: Float32Array
    labels: NDArray[Any]
    cost: Cost
    packed: Mapping[str, Values] | None = None

    def hard_rows(self, count: int) -> Values:
        """At most `count` rows of what ordinary ones miss (`device_rows.hard_rows`)."""
        if self.packed is not None:
            return self.packed["random"][:count]
        return hard_rows(self.model, self.features, count)

    def hard_floats(self, count: int) -> Float32Array:
        """At most `count` rows for a device that quantizes (`hard_inputs.hard_floats`)."""
        if self.packed is not None:
            return self.packed["float"][:count]
        assert isinstance(self.model, QuantizedModel)
        return hard_floats(self.model, self.features, count)


def subject_of(
    prepared: Prepared, board: Board, build: FirmwareBuild, samples: int | None
) -> Subject:
    """The subject of a build.

    Args:
        prepared: the locked model of the build's folder.
        board: its mode doesn't count, the build's does.
        build: from build.json.
        samples: at most so many test rows; None: all.

    Raises:
        StaleFirmwareError: the build has another model, or other kernels, than its folder gives.
        ModeError: a build of a mode that this version doesn't have.
        ModelError: see `device_model`.
    """
    built_for = in_mode(board, build.mode)
    model = device_model(prepared.model, prepared.float_model, build.mode)
    if build.model_id != model.model_id:
        raise StaleFirmwareError(
            f"the build of {board.name} has model {build.model_id[:16]}, "
            f"{prepared.lock_path.name} gives {model.model_id[:16]} in mode {build.mode}: "
            f"run `pio run -e {board.name}`"
        )
    kernels = kernels_for(prepared.model, built_for, prepared.settings.code)
    check_kernels(kernels, build)
    vectors = prepared.test_vectors()
    return Subject(
        model=model,
        rows=rows_of(model, vectors)[:samples],
        features=vectors.features,
        labels=vectors.labels[:samples],
        cost=foretell(
            prepared.model, built_for, build.toolchain, vectors.inputs[:samples], kernels
        ),
    )
