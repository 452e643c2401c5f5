"""miniml bench: what kernels, links and modes do, measured side by side in one run."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miniml.atomic_file import write_atomically
from miniml.cli import bench_faults_command, bench_link_command, bench_together_command

if TYPE_CHECKING:
    from miniml.kernels.benchmark_nets import BenchmarkNet

Subparsers = Any  # argparse has no public name for what add_subparsers returns


def register(subparsers: Subparsers) -> None:
    """Add the group `bench` to the `miniml` parser."""
    group = subparsers.add_parser("bench", help="measure kernels and links")
    benches = group.add_subparsers(dest="bench", required=True, metavar="BENCH")
    kernels = benches.add_parser(
        "kernels",
        help="cycles of our kernels and of others', whole inferences",
        description="Compiles each kernel for each net, runs it on the simulated core of each "
        "board (0 wait states), compares every byte with the reference, and prints cycles a MAC. "
        "Peers that aren't installed are named and left out.",
    )
    kernels.add_argument(
        "--net", action="append", help="N3, N3s, N5, N5s, N6 (default: all, none with --model)"
    )
    kernels.add_argument("--board", action="append", help="uno, stm32f4, pico (default: all)")
    kernels.add_argument(
        "--model",
        action="append",
        type=Path,
        help="a trained model: a folder, or its name below firmware/models; may be repeated",
    )
    kernels.add_argument("--seeds", type=int, default=5, help="nets of each kind (default: 5)")
    kernels.add_argument("--json", action="store_true", help="print a JSON list on stdout")
    kernels.add_argument("--out", type=Path, help="write the JSON list to a file as well")
    kernels.set_defaults(run=run_kernels)
    guide = benches.add_parser(
        "guide",
        help="the quantization guide's performance table, measured",
        description="Compiles the model in every mode for each board, runs it on the board's "
        "simulated core (0 wait states), compares every layer with the reference, and prints "
        "size, speed against float32, accuracy, RAM and flash beside what the guide promises.",
    )
    guide.add_argument(
        "--model",
        type=Path,
        action="append",
        metavar="DIR",
        help="holds model.toml; may be repeated (default: firmware/models/digits)",
    )
    guide.add_argument("--project-dir", type=Path, default=Path(), help="holds boards.ini")
    guide.add_argument("--board", action="append", help="uno, stm32f4, pico (default: all)")
    guide.add_argument("--rows", type=int, default=5, help="test rows to run (default: 5)")
    guide.add_argument("--json", action="store_true", help="print a JSON list on stdout")
    guide.add_argument("--out", type=Path, help="write the JSON list to a file as well")
    guide.set_defaults(run=run_guide)
    bench_link_command.register(benches)
    bench_faults_command.register(benches)
    bench_together_command.register(benches)


def run_guide(arguments: argparse.Namespace) -> int:
    """`miniml bench guide`."""
    from miniml.bench.guide_rows import BOARDS, GuideRow, bench_guide
    from miniml.bench.guide_table import table
    from miniml.boards import load_boards, pick_board
    from miniml.errors import UsageError
    from miniml.pipeline import prepare

    if arguments.rows < 1:
        raise UsageError("--rows must be at least 1: nothing would be measured")
    known = load_boards(arguments.project_dir)
    boards = [pick_board(known, name) for name in arguments.board or BOARDS]
    rows: list[GuideRow] = []
    for folder in arguments.model or [arguments.project_dir / "firmware/models/digits"]:
        rows += bench_guide(prepare(folder), boards, arguments.rows, _say)
    _say("")
    text = json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n"
    if arguments.out:
        write_atomically(arguments.out, text.encode())
    print(text if arguments.json else table(rows))
    return 1 if any(row.exact is False for row in rows) else 0


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def run_kernels(arguments: argparse.Namespace) -> int:
    """`miniml bench kernels`."""
    from miniml.bench.kernel_rows import BOARDS, NETS, bench_kernels, random_nets
    from miniml.bench.kernel_table import table

    def say(line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    boards = _checked(arguments.board, tuple(BOARDS), "board")
    seeds = range(1, arguments.seeds + 1)
    models = arguments.model or []
    names = _checked(arguments.net, NETS, "net") if arguments.net or not models else ()
    nets = {name: random_nets(name, seeds) for name in names}
    nets.update(_trained(folder) for folder in models)
    rows = bench_kernels(nets, boards, say)
    say("")
    text = json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n"
    if arguments.out:
        write_atomically(arguments.out, text.encode())
    print(text if arguments.json else table(rows))
    return 1 if any(row.exact is False and row.kernel.startswith("miniml") for row in rows) else 0


def _trained(folder: Path) -> tuple[str, list[BenchmarkNet]]:
    from miniml.bench.kernel_rows import trained_net
    from miniml.pipeline import prepare

    if not folder.exists():
        folder = Path("firmware") / "models" / folder
    prepared = prepare(folder, train="frozen")
    return prepared.model.name, trained_net(prepared.model, prepared.test_vectors().inputs)


def _checked(given: list[str] | None, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    from miniml.errors import UsageError

    for name in given or ():
        if name not in known:
            raise UsageError(f"no {what} {name!r} in this bench: use {', '.join(known)}")
    return tuple(given) if given else known
