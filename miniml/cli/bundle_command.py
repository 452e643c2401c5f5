"""miniml bundle: what was built, in one file for a bench without a compiler."""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from miniml.cli.project_command import Subparsers, project_command
from miniml.hil.run_arguments import names

DEFAULT_FILE = Path("miniml-bundle.zip")


def register(subparsers: Subparsers) -> None:
    """Add the command to the `miniml` parser."""
    parser = project_command(
        subparsers,
        "bundle",
        "pack what `pio run` built for `miniml run --bundle` on another machine",
        "Packs binaries, boards.ini, the models, their inputs and expected bytes and the foretold "
        "cycles into one file; the same builds give the same bytes.",
    )
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        default=DEFAULT_FILE,
        metavar="FILE",
        help="where it goes (default: %(default)s)",
    )
    parser.add_argument(
        "--board",
        action="append",
        default=[],
        metavar="NAME",
        help="a section of boards.ini; may be repeated (default: every board that was built)",
    )
    parser.set_defaults(run=run_bundle)


def run_bundle(arguments: argparse.Namespace) -> int:
    """`miniml bundle`."""
    from miniml.hil.bundle.pack import pack, write_bundle
    from miniml.hil.project import find_project

    data, boards = pack(find_project(arguments.project_dir), names(arguments.board))
    write_bundle(arguments.output, data)
    digest = hashlib.sha256(data).hexdigest()
    if arguments.json:
        content = {
            "file": str(arguments.output),
            "bytes": len(data),
            "sha256": digest,
            "boards": {name: asdict(entry) for name, entry in boards.items()},
        }
        print(json.dumps(content, indent=1))
        return 0
    for name, entry in boards.items():
        print(f"{name}: model {entry.model_id[:16]}, build {entry.build_id[:16]}, {entry.world}")
    print(f"bundle: {arguments.output}, {len(data):,} bytes, SHA-256 {digest}")
    return 0
