"""The `miniml` command: parse, dispatch, and turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from miniml import __version__
from miniml.cli import (
    baseline_command,
    bench_commands,
    board_commands,
    boards_commands,
    bundle_command,
    cost_command,
    generate_command,
    model_commands,
    quantize_command,
    replay_command,
    simulate_command,
)
from miniml.errors import MiniMLError

EXIT_CODES = "exit codes: 0 pass, 1 fail, 2 usage, 3 no board, 4 infrastructure"


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line; argparse shows every option before it."""

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2."""
        self.exit(2, f"miniml: error: {message} ({self.prog} --help lists what there is)\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; each group of commands registers its own."""
    parser = OneLineParser(
        prog="miniml",
        description="Train, quantize and prove small neural networks on microcontrollers.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"miniml {__version__}")
    parser.add_argument("--debug", action="store_true", help="show a traceback on errors")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    model_commands.register(commands)
    quantize_command.register(commands)
    generate_command.register(commands)
    cost_command.register(commands)
    board_commands.register(commands)
    replay_command.register(commands)
    baseline_command.register(commands)
    simulate_command.register(commands)
    boards_commands.register(commands)
    bundle_command.register(commands)
    bench_commands.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except MiniMLError as error:
        if arguments.debug:
            traceback.print_exc()
        print(f"miniml: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        # Those that a user can cause are MiniMLErrors; this is for what a machine does.
        if arguments.debug:
            traceback.print_exc()
        print(f"miniml: error: {error}: check rights and room", file=sys.stderr)
        return MiniMLError.exit_code
    except KeyboardInterrupt:
        print("miniml: interrupted", file=sys.stderr)
        return 130
