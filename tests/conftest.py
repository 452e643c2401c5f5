"""What every test starts from, whoever runs it."""

from __future__ import annotations

import os

# Where CI is set, models are frozen and never trained. The tests train models of their own; those
# of freezing set it.
os.environ.pop("CI", None)
# What boards do in the tests is nothing for the page of the job that runs them.
os.environ.pop("GITHUB_STEP_SUMMARY", None)
