"""`python -m pio_extra.offline CORE_DIR`: make or renew the offline kit there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pio_extra.offline.kit import prepare
from pio_extra.offline.toolchains import KitError


def main() -> int:
    """Returns 0, or 1 after one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m pio_extra.offline", description=__doc__)
    parser.add_argument("core_dir", type=Path, metavar="CORE_DIR")
    core_dir = parser.parse_args().core_dir.absolute()
    try:
        made = prepare(core_dir)
    except (KitError, OSError) as error:
        print(f"offline kit: error: {error}", file=sys.stderr)
        return 1
    if made:
        print(f"offline kit: made in {core_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
