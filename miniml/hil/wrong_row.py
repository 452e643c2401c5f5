"""Explains the first wrong row of a run, and saves it for `miniml replay`."""

from __future__ import annotations

from pathlib import Path

from miniml.float_net import DeviceModel
from miniml.hil.project import miniml_dir
from miniml.hil.proof.divergence import first_divergence
from miniml.hil.proof.replay_file import Replay, save_replay
from miniml.hil.proof.verdict import BoardResult


def explain(result: BoardResult, model: DeviceModel, project: Path) -> None:
    """Sets the result's divergence and replay file; nothing if no row was wrong twice."""
    wrong = next((c.wrong for c in result.comparisons if c.wrong is not None), None)
    if wrong is None or result.build is None:
        return
    result.divergence = first_divergence(model, wrong)
    file = miniml_dir(project) / "replay" / f"{result.name}.json"
    replay = Replay(
        board=result.name,
        simulated=bool(result.simulated),
        mode=result.build.mode,
        model_id=result.build.model_id,
        build_id=result.build.build_id,
        ran=wrong,
    )
    try:
        save_replay(file, replay)
    except OSError as error:
        result.notes.append(f"{file}: can't be written ({error.strerror})")
    else:
        result.replay = str(file)
