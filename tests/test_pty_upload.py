"""The hook that lets PlatformIO's official AVR builder upload to a simulated board."""

import os
import pty
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "pio_extra" / "pty_upload.py"


class FakeEnvironment:
    """What SCons hands to an extra script, as far as this one asks."""

    def __init__(self, port: str) -> None:
        self.port = port
        self.changes: dict[str, object] = {}

    def subst(self, name: str) -> str:
        assert name == "$UPLOAD_PORT"
        return self.port

    def BoardConfig(self) -> "FakeEnvironment":  # noqa: N802  (PlatformIO's name)
        return self

    def update(self, option: str, value: object) -> None:
        self.changes[option] = value


def changes(port: str) -> dict[str, object]:
    environment = FakeEnvironment(port)
    names = {"env": environment, "Import": lambda name: None}
    exec(compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec"), names)
    return environment.changes


def test_nothing_is_flushed_on_a_pseudo_terminal_only(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    try:
        name = os.ttyname(slave)
        link = tmp_path / "port"
        link.symlink_to(name)
        assert changes(name) == changes(str(link)) == {"upload.disable_flushing": True}
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("port", ["", "/dev/ttyUSB0", "COM3", "rfc2217://localhost:4000"])
def test_a_real_port_is_flushed_as_platformio_does(port: str) -> None:
    assert changes(port) == {}
