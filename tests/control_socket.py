"""A simulated board's control socket, as any program asks it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any


def control(state: Path, command: str, timeout_s: float = 60.0) -> dict[str, Any]:
    """One command, its answer."""
    # Through a descriptor: a socket's name has at most 107 bytes, wherever the tests' folder is.
    folder = os.open(state, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout_s)
            client.connect(f"/proc/self/fd/{folder}/control")
            client.sendall(command.encode() + b"\n")
            with client.makefile() as lines:
                answer = json.loads(lines.readline())
    finally:
        os.close(folder)
    assert isinstance(answer, dict)
    return answer
