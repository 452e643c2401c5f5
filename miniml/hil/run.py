"""All boards of a run, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from miniml.boards import Board, load_boards, pick_board
from miniml.errors import FlashError, UsageError
from miniml.hil.board_log import BoardLog
from miniml.hil.board_run import BoardRun
from miniml.hil.firmware_build import load_build
from miniml.hil.flash import FlashJob, flash
from miniml.hil.place.find import find_place
from miniml.hil.progress import ProgressLines
from miniml.hil.project import build_dir
from miniml.hil.proof.verdict import BoardResult
from miniml.hil.run_options import RunOptions
from miniml.pipeline import Prepared, prepare

Say = Callable[[str], None]


def chosen_boards(options: RunOptions) -> tuple[dict[str, Board], list[Board]]:
    """All boards, and those to run: the named ones, else every one that was built.

    Raises:
        UsageError: an unknown name, a port for several boards, or no rows to test.
        FlashError: none was named and nothing was built.
    """
    boards = load_boards(options.project)
    if options.port and len(options.boards) != 1:
        raise UsageError("a port belongs to one board: name exactly one with it")
    if options.samples is not None and options.samples < 1:
        raise UsageError(
            f"{options.samples} samples test nothing: give at least 1, or leave it out"
        )
    if options.repeat < 1:
        raise UsageError(f"the rows can't run {options.repeat} times: give --repeat at least 1")
    if options.boards:
        return boards, [pick_board(boards, name) for name in options.boards]
    built = [
        board
        for name, board in boards.items()
        if (build_dir(options.project, name) / "miniml" / "build.json").is_file()
    ]
    if not built:
        raise FlashError(f"nothing is built in {options.project}: run `pio run`")
    return boards, built


def run_boards(options: RunOptions, *, optional: bool = False) -> list[BoardResult]:
    """Runs every chosen board and returns their results in the order of boards.ini.

    Raises:
        UsageError, ModelError: settings, data or lock are wrong; no board was touched.
        FlashError: no board was named and none was built.
    """
    boards, chosen = chosen_boards(options)
    prepared = load_models(options.project, chosen)
    cancel = threading.Event()
    progress = ProgressLines([board.name for board in chosen], plain=options.verbose)
    runs = [
        BoardRun(board, boards, options, prepared, cancel, progress.of(board.name), optional)
        for board in chosen
    ]
    with ThreadPoolExecutor(max_workers=len(runs)) as pool:
        futures = [pool.submit(run.execute) for run in runs]
        try:
            results = [future.result() for future in futures]
        except BaseException:
            # Ctrl-C: the boards' processes go first, and whoever waits for one wakes up.
            cancel.set()
            for run in runs:
                if run.place is not None and run.place.ours is not None:
                    run.place.ours.kill()
            raise
        finally:
            progress.end()
    return results


def flash_boards(options: RunOptions, say: Say) -> None:
    """Flashes the chosen boards, one after the other.

    Raises:
        MiniMLError: the first board that can't be flashed.
    """
    boards, chosen = chosen_boards(options)
    for board in chosen:
        build = load_build(options.project, board.name)
        log = BoardLog(board.name, verbose=options.verbose)
        place = find_place(board, boards, build, options, log)
        with place.occupied():
            flash(FlashJob(options.project, board, place, build, log, threading.Event()))
        kind = "simulated" if place.simulated else "real"
        say(f"{board.name} ({kind}): flashed {build.flash:,} bytes, ELF {build.elf_sha256[:16]}")


def load_models(project: Path, boards: list[Board]) -> Mapping[str, Prepared]:
    """The locked model of each build by its folder; never trains.

    Raises:
        UsageError, ModelError: the model's settings, data or lock.
    """
    models: dict[str, Prepared] = {}
    for board in boards:
        try:
            folder = load_build(project, board.name).model_dir
        except FlashError:
            continue  # told as this board's result
        if str(folder) not in models:
            models[str(folder)] = prepare(folder, train="frozen")
    return models
