"""All boards of a run, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from miniml.boards import Board, pick_board
from miniml.errors import BundleError, UsageError
from miniml.hil.board_log import BoardLog
from miniml.hil.board_run import BoardRun
from miniml.hil.flash import FlashJob, flash
from miniml.hil.flash.platformio_upload import NEEDS_PROJECT
from miniml.hil.look_before import look_before_flashing
from miniml.hil.place.find import find_place
from miniml.hil.place.poison import check_poison, lift_poison
from miniml.hil.progress import ProgressLines
from miniml.hil.proof.verdict import BoardResult
from miniml.hil.recovery import with_retries
from miniml.hil.report.terminal import WHERE
from miniml.hil.run_options import DEFAULT_FLOATS, DEFAULT_RANDOM, RunOptions
from miniml.hil.source import Source, open_source

Say = Callable[[str], None]


def chosen_boards(options: RunOptions, source: Source) -> list[Board]:
    """The boards to run: the named ones, else every one that was built.

    Raises:
        UsageError: an unknown name, a port for several boards, or no rows to test.
        BundleError: a bundle's board that only PlatformIO can flash.
        FlashError: none was named and nothing was built.
    """
    if options.port and len(options.boards) != 1:
        raise UsageError("a port belongs to one board: name exactly one with it")
    if options.samples is not None and options.samples < 1:
        raise UsageError(
            f"{options.samples} samples test nothing: give at least 1, or leave it out"
        )
    if options.repeat < 1:
        raise UsageError(f"the rows can't run {options.repeat} times: give --repeat at least 1")
    if options.bundle and (
        options.random_rows > DEFAULT_RANDOM or options.float_rows > DEFAULT_FLOATS
    ):
        raise UsageError(
            f"a bundle has at most {DEFAULT_RANDOM:,} random and {DEFAULT_FLOATS} float rows"
        )
    if options.boards:
        chosen = [pick_board(source.boards, name) for name in options.boards]
    else:
        chosen = source.built()
    for board in chosen:
        if options.bundle and options.flash and board.flash_method == "pio" and not board.resource:
            raise BundleError(NEEDS_PROJECT.format(board.name))
    return chosen


def run_boards(options: RunOptions, source: Source, chosen: Sequence[Board]) -> list[BoardResult]:
    """Runs boards whose models `source` has loaded; returns their results in the same order."""
    cancel = threading.Event()
    progress = ProgressLines([board.name for board in chosen], plain=options.verbose)
    runs = [BoardRun(board, options, source, cancel, progress.of(board.name)) for board in chosen]
    with ThreadPoolExecutor(max_workers=len(runs)) as pool:
        futures = [pool.submit(run.execute) for run in runs]
        try:
            results = [future.result() for future in futures]
        except BaseException:
            # Ctrl-C: the boards' processes go first, and whoever waits for one wakes up.
            cancel.set()
            for run in runs:
                if run.place is not None:
                    run.place.interrupt()
            raise
        finally:
            progress.end()
    return results


def flash_boards(options: RunOptions, say: Say) -> None:
    """Flashes the chosen boards, one after the other.

    Raises:
        MiniMLError: the first board that can't be flashed.
    """
    with open_source(options) as source:
        for board in chosen_boards(options, source):
            build = source.build(board.name)
            log = BoardLog(board.name, verbose=options.verbose)
            place = find_place(board, source.boards, build, options, log)
            if options.unpoison:
                lift_poison(options.project, board, place)
            check_poison(options.project, board, place)
            with place.occupied():
                cancel = threading.Event()
                look_before_flashing(place, board, options, log, cancel)
                job = FlashJob(source.folder, board, place, build, log, cancel, options.wait_s)
                with_retries(board, place, log, cancel, partial(flash, job))
            say(
                f"{board.name} ({WHERE[place.simulated]}): flashed {build.flash:,} bytes, "
                f"ELF {build.elf_sha256[:16]}"
            )
