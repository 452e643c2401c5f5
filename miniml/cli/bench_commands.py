"""miniml bench: figures measured on the simulated cores, side by side in one run."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from miniml.atomic_file import write_atomically

Subparsers = Any  # argparse has no public name for what add_subparsers returns


def register(subparsers: Subparsers) -> None:
    """Add the group `bench` to the `miniml` parser."""
    group = subparsers.add_parser("bench", help="measure kernels on the simulated cores")
    benches = group.add_subparsers(dest="bench", required=True, metavar="BENCH")
    kernels = benches.add_parser(
        "kernels",
        help="cycles of our kernels and of others', whole inferences",
        description="Compiles each kernel for each net, runs it on the simulated core of each "
        "board (0 wait states), compares every byte with the reference, and prints cycles a MAC. "
        "Peers that aren't installed are named and left out.",
    )
    kernels.add_argument("--net", action="append", help="N3, N3s, N5, N5s, N6 (default: all)")
    kernels.add_argument("--board", action="append", help="uno, stm32f4, pico (default: all)")
    kernels.add_argument("--seeds", type=int, default=5, help="nets of each kind (default: 5)")
    kernels.add_argument("--json", action="store_true", help="print a JSON list on stdout")
    kernels.add_argument("--out", type=Path, help="write the JSON list to a file as well")
    kernels.set_defaults(run=run_kernels)


def run_kernels(arguments: argparse.Namespace) -> int:
    """`miniml bench kernels`."""
    from miniml.bench.kernel_rows import BOARDS, NETS, bench_kernels
    from miniml.bench.kernel_table import table

    def say(line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    nets = _checked(arguments.net, NETS, "net")
    boards = _checked(arguments.board, tuple(BOARDS), "board")
    seeds = range(1, arguments.seeds + 1)
    rows = list(bench_kernels(nets, seeds, boards, say))
    say("")
    text = json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n"
    if arguments.out:
        write_atomically(arguments.out, text.encode())
    print(text if arguments.json else table(rows))
    return 1 if any(row.exact is False and row.kernel.startswith("miniml") for row in rows) else 0


def _checked(given: list[str] | None, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    from miniml.errors import UsageError

    for name in given or ():
        if name not in known:
            raise UsageError(f"no {what} {name!r} in this bench: use {', '.join(known)}")
    return tuple(given) if given else known
