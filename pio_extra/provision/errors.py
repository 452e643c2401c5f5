"""The one exception that ends a set-up or a task with a line instead of a traceback."""

from __future__ import annotations


class SetupError(Exception):
    """Setting up can't go on; the message says what is missing and what to do."""
