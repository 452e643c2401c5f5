"""Words before a command that take rights or room away from it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def without_root_rights() -> list[str]:
    """Words before a command that make file permissions count for root too."""
    if os.geteuid() != 0:
        return []
    # The account stays, so that everything it owns can be read; it loses its exemption.
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]


def full_disk(folder: Path) -> list[str]:
    """Words before a command that give it hardly any space in `folder`.

    A tiny disk of its own where the system lets us mount one, else a limit on files' size.
    """
    mount = 'mount -t tmpfs -o size=16k tmpfs "$0" && exec "$@"'
    for unshare in (["unshare", "-m"], ["unshare", "-r", "-m"]):
        words = [*unshare, "sh", "-c", mount, str(folder)]
        try:
            if subprocess.run([*words, "true"], check=False, capture_output=True).returncode == 0:
                return words
        except FileNotFoundError:
            break
    return ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh"]
