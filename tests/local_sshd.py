"""An sshd of our own on a free port of loopback, with keys made for it; campaigns only."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from labgrid_lab import kill_group, reserved_port

SSHD = "/usr/sbin/sshd"  # it wants to be called by its whole path


@contextmanager
def local_sshd(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[int]:
    """`ssh 127.0.0.1` of this process and its children leads to it, with no key of the user's."""
    for program in (SSHD, "ssh", "ssh-keygen"):
        assert shutil.which(program), f"{program} is missing: apt-get install openssh-server"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        # Debian's service makes it; an sshd that drops root's rights wants it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for key in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True
        )
    reserved = reserved_port()
    port = reserved.getsockname()[1]
    host_key = (folder / "host.pub").read_text(encoding="utf-8")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}", encoding="utf-8")
    server = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PasswordAuthentication": "no",
        "UsePAM": "no",
        "StrictModes": "no",
        "PidFile": "none",
        # root, where a container knows nobody else
        "PermitRootLogin": "prohibit-password",
    }
    client = {
        "Port": port,
        "User": getpass.getuser(),
        "IdentityFile": folder / "user",
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": folder / "known_hosts",
    }
    for name, options in (("sshd_config", server), ("ssh_config", client)):
        lines = (f"{option} {value}\n" for option, value in options.items())
        (folder / name).write_text("".join(lines), encoding="utf-8")
    tools = folder / "tools"
    tools.mkdir()
    ssh = tools / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    ssh.chmod(0o755)
    with (folder / "sshd.log").open("wb") as log:
        daemon = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        with patch.context() as inner:
            inner.setenv("PATH", str(tools), prepend=":")
            deadline = time.monotonic() + 60
            while subprocess.run(["ssh", "127.0.0.1", "true"], check=False).returncode:
                said = (folder / "sshd.log").read_text(encoding="utf-8")
                assert daemon.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.2)
            yield port
    finally:
        kill_group(daemon)
        reserved.close()
