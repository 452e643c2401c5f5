"""Runs a recorded wrong row again, on a simulated board with the same build: `miniml replay`."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from miniml import reference
from miniml.boards import Board, pick_board
from miniml.errors import StaleFirmwareError, UsageError
from miniml.float_net import DeviceModel, FloatNet
from miniml.hil.board_log import BoardLog
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.flash import FlashJob, flash
from miniml.hil.link.session import Session
from miniml.hil.open_board import open_board
from miniml.hil.place.find import find_place
from miniml.hil.project import miniml_dir
from miniml.hil.proof.comparison import RanRow, all_equal
from miniml.hil.proof.device_rows import Values, expected_layers
from miniml.hil.proof.divergence import Divergence, first_divergence
from miniml.hil.proof.exercise import Exercise
from miniml.hil.proof.identity import check_board, check_firmware, check_shape, who_is_there
from miniml.hil.proof.replay_file import Replay, load_replay
from miniml.hil.run_options import RunOptions
from miniml.hil.source import Source, open_source

Agrees = Literal["reference", "found", "neither"]
RUN_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ReplayResult:
    """What the simulated board made of the row.

    Attributes:
        agrees: with the reference's bytes, the recorded ones, or neither.
        recorded: where the recorded board left the reference.
        divergence: where the simulated one does; None: nowhere.
    """

    replay: Replay
    agrees: Agrees
    recorded: Divergence
    divergence: Divergence | None


def replay_row(options: RunOptions, file: Path) -> ReplayResult:
    """Flashes the build onto the board's simulated stand-in, and runs the row there.

    Args:
        options: its project, pace, patience, waiting time and verbosity count.
        file: written by a run that failed.

    Raises:
        UsageError: the file is none, its board is unknown, or it contradicts the model.
        StaleFirmwareError: the build on disk is another one.
        NoBoardError: no simulated board can run this build.
        BoardError: the simulated board failed.
    """
    record = load_replay(file)
    with open_source(options) as source:
        board = pick_board(source.boards, record.board)
        build = source.build(board.name)
        for what, there, here in (
            ("model", record.model_id, build.model_id),
            ("build", record.build_id, build.build_id),
        ):
            if there != here:
                raise StaleFirmwareError(
                    f"{file} is of {what} {there[:16]}, built is {here[:16]}: check out and build "
                    "what it was recorded with"
                )
        source.load_models([board])
        model = source.subject(board, build, 1).model
        _check_row(model, record.ran, file)
        ran = _run_simulated(options, source, board, build, model, record.ran)
    same = all_equal(ran.expected, ran.found)
    as_recorded = all_equal(record.ran.found, ran.found)
    return ReplayResult(
        record,
        "reference" if same else "found" if as_recorded else "neither",
        first_divergence(model, record.ran),
        None if same else first_divergence(model, ran),
    )


def _run_simulated(
    options: RunOptions,
    source: Source,
    board: Board,
    build: FirmwareBuild,
    model: DeviceModel,
    ran: RanRow,
) -> RanRow:
    simulated = replace(options, boards=(board.name,), simulated="always", port="")
    file = miniml_dir(options.project) / "log" / f"{board.name}-replay.log"
    cancel = threading.Event()
    with closing(BoardLog(board.name, file, verbose=options.verbose)) as log:
        place = find_place(board, source.boards, build, simulated, log)
        with place.occupied():
            flash(FlashJob(source.folder, board, place, build, log, cancel, options.wait_s))
            with closing(open_board(place, board, log, cancel)) as line:
                session = Session(line, log, patience=options.patience)
                identity = who_is_there(session, board.reset_settle_ms / 1000)
                check_board(identity, board, line.url)
                check_firmware(identity, build)
                check_shape(session, model)
                exercise = Exercise(session, model, RUN_TIMEOUT_S, lambda *progress: None)
                return exercise.again(ran)


def _check_row(model: DeviceModel, ran: RanRow, file: Path) -> None:
    """The file's row must be one of this model, and what it expects the reference's."""
    wanted = _reference(model, ran)
    kinds = [(values.shape, values.dtype) for values in wanted]
    if not wanted or kinds != [(values.shape, values.dtype) for values in ran.expected]:
        raise UsageError(f"{file} has a row that model {model.name} can't take: record it again")
    if not all_equal(wanted, ran.expected):
        raise UsageError(
            f"{file} expects other bytes than the reference of model {model.name} gives: it was "
            "changed; record the row again"
        )
    if all_equal(ran.expected, ran.found):
        raise UsageError(f"{file} has a row without a difference: there is nothing to replay")


def _reference(model: DeviceModel, ran: RanRow) -> list[Values]:
    """The reference's layers of the row; empty if the model can't take it."""
    takes = np.float32 if ran.first_layer == 0 or isinstance(model, FloatNet) else np.int8
    if ran.inputs.dtype != takes or ran.inputs.shape != (model.n_inputs,):
        return []
    row = ran.inputs[None, :]
    if ran.first_layer == 1:
        return [layer[0] for layer in expected_layers(model, row)]
    return [] if isinstance(model, FloatNet) else [reference.quantize_inputs(model, row)[0]]
