"""What the PlatformIO hook calls: one model, one board, headers in one folder.

    python -m miniml.build --project-dir . --model-dir firmware/models/digits --board uno \
        --out .pio/build/uno/miniml --cache .pio/miniml/cache

Trains only where the data or the settings changed, writes only what differs, refuses a model
that the board can't hold, and leaves a stamp of everything it read and wrote, by which the
hook knows that there is nothing to do (docs/BUILD_HOOK.md).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from miniml.atomic_file import write_atomically
from miniml.errors import BudgetError, MiniMLError

if TYPE_CHECKING:
    from miniml.boards import Board
    from miniml.kernels.program import KernelProgram
    from miniml.model import QuantizedModel

# The hook tries the next interpreter on this exit code (pio_extra/miniml_hook/interpreter.py).
MISSING_PACKAGES = 78
STAMP_FILE = "stamp.json"
STAMP_FORMAT = "miniml.stamp/1"
# What a build needs of pyproject.toml's dependencies, with the same bounds.
_NEEDED = {"filelock": "filelock>=3.12", "jinja2": "jinja2>=3.1", "numpy": "numpy>=1.26"}


def missing_packages() -> list[str]:
    """Requirements that this interpreter does not meet, as pip wants them."""
    if sys.hexversion < 0x030B0000:  # the hook may have been given an old interpreter
        return ["python>=3.11"]
    return [spec for name, spec in _NEEDED.items() if importlib.util.find_spec(name) is None]


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare one model for one board; returns the exit code."""
    arguments = _parser().parse_args(argv)
    if missing := missing_packages():
        print("missing:", *missing)
        return MISSING_PACKAGES
    try:
        print(*build(arguments), sep="\n")
    except MiniMLError as error:
        return _fail(error, str(error), arguments.debug, error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(error, f"{where}{error.strerror or error}", arguments.debug, 4)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        text = " ".join(str(error).split())
        text = f"{type(error).__name__}: {text} (a fault in MiniML: add --debug and report it)"
        return _fail(error, text, arguments.debug, 4)
    return 0


def build(arguments: argparse.Namespace) -> list[str]:
    """Prepare, check, write; returns the lines for the build log.

    A terminal and an IDE may build the same environment at once, so one process at a time
    works on an output folder; `prepare` sees to it that a model is trained once.

    Raises:
        MiniMLError: settings, data, lock, budget, or a file that can't be written.
        OSError: a file that can't be read.
    """
    from filelock import FileLock

    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(arguments.out / ".filelock")
        lock.acquire()
    except OSError as error:
        raise _unwritable(arguments.out, error) from error
    try:
        return _build(arguments)
    finally:
        lock.release()


def _build(arguments: argparse.Namespace) -> list[str]:
    from miniml.boards import BOARDS_FILE, LOCAL_FILE, in_mode, load_boards, pick_board
    from miniml.float_net import device_model
    from miniml.generation import board_files, kernels_file
    from miniml.kernels.choice import kernels_for
    from miniml.pipeline import prepare
    from miniml.settings import SETTINGS_FILE, load_settings

    project, model_dir, out = arguments.project_dir, arguments.model_dir, arguments.out
    before = {project / name: digest(project / name) for name in (BOARDS_FILE, LOCAL_FILE)}
    boards = load_boards(project)
    board = in_mode(pick_board(boards, arguments.board), arguments.mode)
    settings_file = model_dir / SETTINGS_FILE
    before[settings_file] = digest(settings_file)
    settings = load_settings(model_dir)
    settings.check_boards(boards)
    data_file = settings.data_path
    before[data_file] = digest(data_file)
    prepared = prepare(
        model_dir,
        train=arguments.train,
        cache=arguments.cache,
        progress=arguments.progress,
    )
    made = device_model(prepared.model, prepared.float_model, board.mode)
    kernels = kernels_for(prepared.model, board, prepared.settings.code)
    check_budget(prepared.model, board, kernels)
    files = board_files(prepared, board, kernels)
    changed = [name for name, text in files.items() if write_if_changed(out / name, text)]
    for pattern in (kernels_file("*"), "*_model.h"):
        # The hook compiles what is there, and a sketch includes it, also under an old name.
        for stale in out.glob(pattern):
            if stale.name not in files:
                stale.unlink()
    stamp = {
        "format": STAMP_FORMAT,
        "key": arguments.key,
        "inputs": {
            str(path): value
            for path, value in (
                before | {prepared.lock_path: digest(prepared.lock_path)} | package_files()
            ).items()
        },
        "outputs": {name: digest(out / name) for name in files},
        "model": {
            "name": made.name,
            "model_id": made.model_id,
            "mode": board.mode,
            "dir": Path(os.path.relpath(model_dir, project)).as_posix(),
        },
        "board": {
            "name": board.name,
            "flash_bytes": board.flash_bytes,
            "sram_bytes": board.sram_bytes,
        },
    }
    write_if_changed(out / STAMP_FILE, json.dumps(stamp, indent=1, sort_keys=True) + "\n")
    deed = "trained" if prepared.trained else "up to date"
    done = f"wrote {' and '.join(changed)}" if changed else "files as they were"
    return [
        *(f"MiniML: {note}" for note in prepared.notes),
        f"MiniML: {made.name} {made.model_id[:8]} {board.mode} {deed}, {done}",
    ]


def check_budget(model: QuantizedModel, board: Board, kernels: KernelProgram | None) -> None:
    """Refuse a model that the board can't hold, before a compiler runs into it.

    Raises:
        BudgetError: with what the model needs and what the board has, in bytes.
    """
    from miniml.cost import foretell

    cost = foretell(model, board, None, kernels=kernels)
    for what, needed, there in (
        ("flash", cost.flash, board.flash_bytes),
        ("SRAM", cost.sram, board.sram_bytes),
    ):
        if needed > there:
            raise BudgetError(
                f"model {model.name} needs {needed:,} bytes of {what}, {board.name} has {there:,}: "
                "make [model] hidden smaller in model.toml"
            )


def package_files() -> dict[Path, str | None]:
    """Every file of this package that took part, with its digest; call it at the end."""
    loaded = [
        Path(file)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "miniml" and (file := getattr(module, "__file__", None))
    ]
    here = Path(__file__).resolve().parent
    loaded += [
        *(here / "templates").glob("*.j2"),
        *(here / "cost").glob("*.json"),
        here / "build.py",
    ]
    return {file: digest(file) for file in sorted(set(loaded))}


def digest(file: Path) -> str | None:
    """SHA-256 of a file's content; None where there is no such file."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def write_if_changed(path: Path, text: str) -> bool:
    """Write a whole file or none, and none where its content stays; True if it was written.

    Raises:
        MiniMLError: no permission, no space; the old file is as it was.
    """
    content = text.encode("utf-8")
    try:
        if digest(path) == hashlib.sha256(content).hexdigest():
            return False
        write_atomically(path, content)
    except OSError as error:
        raise _unwritable(path, error) from error
    return True


def _unwritable(path: Path, error: OSError) -> MiniMLError:
    return MiniMLError(
        f"{path}: can't be written ({error.strerror}): make room or correct its rights, or set "
        "PLATFORMIO_WORKSPACE_DIR to another folder"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m miniml.build", description=__doc__)
    parser.add_argument("--project-dir", type=Path, required=True, help="where boards.ini lies")
    parser.add_argument("--model-dir", type=Path, required=True, help="where model.toml lies")
    parser.add_argument("--board", required=True, help="section of boards.ini")
    parser.add_argument("--out", type=Path, required=True, help="where the headers go")
    parser.add_argument("--cache", type=Path, required=True, help="what outlives a clean build")
    parser.add_argument("--mode", default="", help="over what boards.ini says of the board")
    parser.add_argument("--train", choices=("auto", "frozen"), help="over model.toml's setting")
    parser.add_argument("--key", default="", help="written into the stamp as it is")
    parser.add_argument("--progress", action="store_true", help="show how training goes")
    parser.add_argument("--debug", action="store_true", help="show a traceback on errors")
    return parser


def _fail(error: Exception, text: str, debug: bool, exit_code: int) -> int:
    if debug:
        traceback.print_exception(error)
    print(f"Error: MiniML: {text}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
