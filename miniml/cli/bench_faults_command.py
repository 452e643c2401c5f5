"""miniml bench faults: the link with faults injected on its line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from miniml.atomic_file import write_atomically
from miniml.cli.project_command import Subparsers, project_command
from miniml.errors import SimulatorError, UsageError
from miniml.hil.project import find_project
from miniml.sim import need_linux

SEED = 1


def register(benches: Subparsers) -> None:
    """Add `faults` to the group `bench`."""
    faults = project_command(
        benches,
        "faults",
        "the link with faults injected on its line",
        "Lets the harness's session talk to the firmware's link over a line that damages, loses, "
        "doubles, delays and reorders bytes, resets the board, vanishes, and more. Each "
        "conversation has to end in the right result or in its named error (docs/HARNESS.md).",
    )
    faults.add_argument(
        "--exchanges",
        type=int,
        default=20_000,
        metavar="N",
        help="requests, all kinds together (default: %(default)s)",
    )
    faults.add_argument("--seed", type=int, default=SEED, help="of what is drawn (default: 1)")
    faults.add_argument(
        "--uno-rounds",
        type=int,
        default=2,
        metavar="N",
        help="how often each kind runs on a simulated Uno (default: %(default)s)",
    )
    faults.add_argument(
        "--kind", action="append", metavar="NAME", help="only this one; may be repeated"
    )
    faults.add_argument("--out", type=Path, help="write the JSON object to a file as well")
    faults.set_defaults(run=run_faults)


def run_faults(arguments: argparse.Namespace) -> int:
    """`miniml bench faults`; 1 if anything ended otherwise than it may."""
    from miniml.boards import load_boards

    need_linux()
    if arguments.exchanges < 1 or arguments.uno_rounds < 0:
        raise UsageError("--exchanges must be at least 1, --uno-rounds at least 0")
    boards = load_boards(find_project(arguments.project_dir))
    # mypy reads this as well: PTYs are in none of the others' standard library.
    if sys.platform != "linux":
        return SimulatorError.exit_code
    else:
        from miniml.bench.faults.campaign import run_campaign
        from miniml.bench.faults.kinds import chosen_kinds

        result = run_campaign(
            boards,
            arguments.exchanges,
            arguments.seed,
            arguments.uno_rounds,
            lambda exchanges, kind: _say(f"{exchanges:,}/{arguments.exchanges:,} {kind}"),
            chosen_kinds(arguments.kind),
        )
        _say("")
        record = result.record()
        if arguments.out:
            whole = {"seed": arguments.seed, **record, "flash_changed": result.flash_changed}
            write_atomically(arguments.out, (json.dumps(whole, indent=1) + "\n").encode())
        print(json.dumps(record, indent=1) if arguments.json else result.text())
        return 1 if record["wrong"] or record["hangs"] else 0


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
