"""What every test starts from, whoever runs it."""

from __future__ import annotations

import os

# Where CI is set, models are frozen and never trained. The tests train models of their own; those
# of freezing set it.
os.environ.pop("CI", None)
