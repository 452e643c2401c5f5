"""A lab in a folder: labgrid's coordinator and exporters with ser2net, on free local ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from miniml.hil.place.labgrid_coordinator import Coordinator

SCRIPTS = Path(sys.executable).parent
START_S = 120.0


class Lab:
    """A coordinator from the beginning of `with` to its end, and the exporters started meanwhile.

    Every exporter has the machine's name 127.0.0.1; places are written before it starts.
    """

    def __init__(self, folder: Path, places: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        """`places`: its exporter and its tags by name; its group there has its name as well."""
        self.folder, self._reserved = folder, reserved_port()
        self.port = self._reserved.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.exporters: dict[str, subprocess.Popen[bytes]] = {}
        self._coordinator: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for name, (exporter, tags) in places.items():
            pairs = ", ".join(f"{key}: '{value}'" for key, value in tags.items())
            match = f"{{exporter: {exporter}, group: {name}, cls: '*', name: null, rename: null}}"
            lines.append(f"{name}: {{tags: {{{pairs}}}, matches: [{match}]}}\n")
        (folder / "places.yaml").write_text("".join(lines), encoding="utf-8")

    def __enter__(self) -> Lab:
        """Starts the coordinator."""
        command = [str(SCRIPTS / "labgrid-coordinator"), "--listen", self.address]
        self._coordinator = self._start("coordinator", command)
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert self._coordinator.poll() is None, self.log("coordinator")
                assert time.monotonic() < deadline, self.log("coordinator")
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        """Ends everything, exporters first."""
        for exporter in self.exporters.values():
            kill_group(exporter)
        self.kill_coordinator()
        self._reserved.close()

    def kill_coordinator(self) -> None:
        """Its exporters end with it."""
        if self._coordinator is not None:
            kill_group(self._coordinator)

    def export(self, name: str, devices: Mapping[str, str]) -> None:
        """Starts an exporter and waits until the coordinator knows its devices, given by group."""
        text = "".join(
            f"{group}:\n  RawSerialPort:\n    port: {device}\n    speed: 115200\n"
            for group, device in devices.items()
        )
        resources = self.folder / f"{name}.yaml"
        resources.write_text(text, encoding="utf-8")
        command = [
            *(str(SCRIPTS / "labgrid-exporter"), "--coordinator", self.address),
            *("--name", name, "--hostname", "127.0.0.1", str(resources)),
        ]
        exporter = self.exporters[name] = self._start(name, command)
        deadline = time.monotonic() + START_S
        wanted = {f"{name}/{group}/NetworkSerialPort/RawSerialPort" for group in devices}
        with contextlib.closing(Coordinator(self.address)) as session:
            while not wanted <= session.resources.keys():
                assert exporter.poll() is None, self.log(name)
                assert time.monotonic() < deadline, self.log(name)
                session.wait(0.05)

    def kill(self, name: str, *, with_ser2net: bool = True) -> None:
        """As if the exporter's machine lost power, or its process alone was killed."""
        exporter = self.exporters[name]
        if with_ser2net:
            kill_group(exporter)
        else:
            exporter.kill()
            exporter.wait()

    def client(self, *words: str) -> subprocess.CompletedProcess[str]:
        """labgrid-client."""
        return subprocess.run(
            [str(SCRIPTS / "labgrid-client"), "-x", self.address, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        # ser2net is in a folder for administrators.
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def reserved_port() -> socket.socket:
    """A TCP port of loopback that the system gives to nobody while this socket is open.

    A server that asks for this very port gets it, for both sides set SO_REUSEADDR and this socket
    doesn't listen.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
