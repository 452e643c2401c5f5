#!/usr/bin/env python3
"""Set MiniML up on this machine and run one of its tasks; `make` calls nothing else.

Every task first sets up what is missing: system packages, `.venv`, the offline kit.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

MINIMUM = (3, 11)


def newer_python() -> str | None:
    """A Python on PATH that is new enough, where `python3` is not."""
    return next(filter(None, (shutil.which(f"python3.{minor}") for minor in (13, 12, 11))), None)


if sys.version_info < MINIMUM:
    other = newer_python()
    if other is None:
        sys.exit(f"setup: error: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    os.execv(other, [other, *sys.argv])

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120

import argparse  # noqa: E402  (an old Python must get its line before these are read)
import signal  # noqa: E402

from pio_extra.provision import (  # noqa: E402
    checks,
    environment,
    setup_lock,
    system_packages,
    tasks,
)
from pio_extra.provision.errors import SetupError  # noqa: E402


def nothing_more() -> int:
    """`setup` ends where the others begin."""
    return 0


TASKS: dict[str, tuple[str, Callable[[], int]]] = {
    "setup": ("install what is missing, nothing else", nothing_more),
    "demo": ("train, build, flash, run and compare on every board; write the report", tasks.demo),
    "test": ("every check and test", checks.test),
    "lint": ("the checks that only read the sources", checks.lint),
    "format": ("bring the sources into form", checks.format_sources),
    "campaign": ("the long tests that `test` leaves out", checks.campaign),
    "lock": ("resolve requirements.lock anew", tasks.lock),
    "clean": ("remove builds, caches and the offline kit", tasks.clean),
}
WITHOUT_TESTING = ("setup", "demo")


def set_up(task: str) -> None:
    """Install what `task` needs and this machine lacks."""
    with setup_lock.one_at_a_time():
        needs = system_packages.missing(system_packages.BUILD_AND_RUN)
        if task not in WITHOUT_TESTING:
            needs += system_packages.missing(system_packages.TESTING)
        system_packages.install(needs)
        environment.ensure()
        tasks.make_kit()


def main() -> int:
    """Returns the task's exit code, or 4 after one line if setting up failed."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:<10}{text}" for name, (text, _) in TASKS.items()),
    )
    parser.add_argument("task", choices=TASKS, metavar="TASK")
    task = parser.parse_args().task
    try:
        if task != "clean":
            set_up(task)
        return TASKS[task][1]()
    except SetupError as error:
        print(f"setup: error: {error}", file=sys.stderr)
        return 4
    except OSError as error:
        print(f"setup: error: {error.filename or 'system'}: {error.strerror}", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
