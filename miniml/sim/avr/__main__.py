"""Starts a simulated Uno or Nano: see `python -m miniml.sim.avr --help`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from miniml.errors import MiniMLError, SimulatorError
from miniml.sim import need_linux
from miniml.sim.avr.bootloader import BOOTLOADERS, bootloader_hex
from miniml.sim.avr.runner_program import runner_program


def build_parser() -> argparse.ArgumentParser:
    """The command line of the simulated board."""
    parser = argparse.ArgumentParser(
        prog="python -m miniml.sim.avr", description="An ATmega328P board behind a PTY."
    )
    parser.add_argument("--state", type=Path, required=True, help="folder of port, control, flash")
    parser.add_argument("--bootloader", choices=sorted(BOOTLOADERS), default="optiboot")
    parser.add_argument(
        "--pace",
        choices=["realtime", "free"],
        default="realtime",
        help="free: programs run as fast as they can, the bootloader still in real time",
    )
    parser.add_argument(
        "--bss-end", type=lambda text: int(text, 0), default=0, help="first free SRAM address"
    )
    return parser


def main() -> int:
    """Becomes the simulator; returns only if that fails."""
    arguments = build_parser().parse_args()
    try:
        need_linux()
        parent = os.getppid()
        bootloader = BOOTLOADERS[arguments.bootloader]
        hex_file = bootloader_hex(bootloader)
        program = runner_program()
        try:
            arguments.state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SimulatorError(f"can't make the folder {arguments.state}: {error}") from error
    except MiniMLError as error:
        print(f"miniml.sim.avr: error: {error}", file=sys.stderr)
        return error.exit_code
    options = {
        "--state": arguments.state.resolve(),
        "--bootloader": hex_file,
        "--boot-start": bootloader.start,
        "--pace": arguments.pace,
        "--bss-end": arguments.bss_end,
        "--parent": parent,
    }
    flat = [str(part) for option in options.items() for part in option]
    os.execv(program, [str(program), *flat])


if __name__ == "__main__":
    sys.exit(main())
