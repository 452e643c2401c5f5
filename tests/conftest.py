"""What every test starts from, whoever runs it."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Where CI is set, models are frozen and never trained. The tests train models of their own; those
# of freezing set it.
os.environ.pop("CI", None)
# What boards do in the tests is nothing for the page of the job that runs them.
os.environ.pop("GITHUB_STEP_SUMMARY", None)

# The same examples in every run, and as much time as a loaded machine takes for one: campaigns
# draw anew (tests/campaign_*.py).
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def _own_locks(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Locks of this process's boards alone: they would stay in a folder of all users."""
    os.environ["MINIML_LOCK_DIR"] = str(tmp_path_factory.mktemp("locks"))
