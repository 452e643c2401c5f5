"""Which environments are built by the official platforms, and which by the offline kit.

Official where a real board is attached and its platform is installed or can be installed;
the kit everywhere else, because simulated boards run what it builds. MINIML_WORLD decides
for all of them. Nothing here installs or changes anything in the user's core directory.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pio_extra.provision.errors import SetupError
from pio_extra.provision.surroundings import KIT, PYTHON, ROOT, child_environment

CHOICE = "MINIML_WORLD"
KIT_MARK = "miniml_kit.json"
# The host's name is PlatformIO's to know. Any answer counts; a proxy is respected.
_PROBE = """
import platformio, requests
hosts = platformio.__registry_mirror_hosts__
requests.head("https://" + hosts[0], timeout=(3, 5)).raise_for_status()
"""


@dataclass(frozen=True)
class Worlds:
    """Environments by the world that builds them."""

    kit: tuple[str, ...]
    official: tuple[str, ...]

    def line(self) -> str:
        """One line for the user."""
        parts = []
        if self.official:
            parts.append(f"official platforms for {', '.join(self.official)}")
        if self.kit:
            parts.append(f"offline kit for {', '.join(self.kit)}")
        return "PlatformIO: " + "; ".join(parts)


def choose() -> Worlds:
    """The world of each default environment.

    Raises:
        SetupError: MINIML_WORLD is neither kit nor official, or asks for official platforms
            that are neither installed nor to be had.
    """
    platforms = environments()
    wanted = os.environ.get(CHOICE, "")
    if wanted == "kit":
        return Worlds(tuple(platforms), ())
    if wanted == "official":
        _require_official(platforms)
        return Worlds((), tuple(platforms))
    if wanted:
        raise SetupError(f"{CHOICE}={wanted}: must be kit or official, or not set")
    attached = [name for name in _attached() if name in platforms]
    absent = [name for name in attached if not is_installed(platforms[name])]
    if absent and not registry_answers():
        print(
            f"attached, but without its official platform: {', '.join(absent)} "
            "(the package registry can't be reached): simulated instead",
            flush=True,
        )
        attached = [name for name in attached if name not in absent]
    return Worlds(tuple(name for name in platforms if name not in attached), tuple(attached))


def environments() -> dict[str, str]:
    """Default environments of platformio.ini, each with the bare name of its platform."""
    ini = _ini()
    names = ini.get("platformio", "default_envs", fallback="").replace(",", " ").split()
    return {
        name: ini.get(f"env:{name}", "platform").partition("@")[0].strip().rpartition("/")[2]
        for name in names
    }


def models() -> list[str]:
    """The model folders that the default environments build, each once."""
    ini, option = _ini(), "custom_miniml_model"
    common = ini.get("env", option, fallback="")
    found = [ini.get(f"env:{name}", option, fallback=common) for name in environments()]
    return [folder for folder in dict.fromkeys(found) if folder]


def _ini() -> configparser.ConfigParser:
    ini = configparser.ConfigParser(interpolation=None, strict=False)
    ini.read(ROOT / "platformio.ini", encoding="utf-8")
    return ini


def user_core_dir() -> Path:
    """PlatformIO's core directory as the user has it; the kit is nobody's."""
    chosen = os.environ.get("PLATFORMIO_CORE_DIR", "")
    if chosen and Path(chosen).absolute() != KIT:
        return Path(chosen)
    home = child_environment().get("HOME")
    return (Path(home) if home else Path.home()) / ".platformio"


def is_installed(platform: str) -> bool:
    """Whether the user has the official platform of that name."""
    folder = user_core_dir() / "platforms" / platform
    return (folder / "platform.json").is_file() and not (folder / KIT_MARK).exists()


def registry_answers() -> bool:
    """Whether PlatformIO's package registry can be reached; takes 8 seconds at most."""
    probe = subprocess.run(
        [str(PYTHON), "-c", _PROBE], env=child_environment(), capture_output=True, check=False
    )
    return probe.returncode == 0


def _require_official(platforms: dict[str, str]) -> None:
    absent = sorted({name for name in platforms.values() if not is_installed(name)})
    if absent and not registry_answers():
        raise SetupError(
            f"{CHOICE}=official, but {', '.join(absent)} is not in {user_core_dir()} and the "
            "package registry can't be reached: connect, or leave the variable out for the kit"
        )


def _attached() -> list[str]:
    """Names of the boards that are plugged in, as `miniml boards` finds them."""
    command = [str(PYTHON), "-m", "miniml", "boards", "--json"]
    result = subprocess.run(
        command, cwd=ROOT, env=child_environment(), capture_output=True, text=True, check=False
    )
    try:
        boards = json.loads(result.stdout)["boards"]
        return [str(board["name"]) for board in boards if board.get("ports")]
    except (ValueError, KeyError, TypeError, AttributeError):
        # Without an answer nothing real is touched.
        return []
