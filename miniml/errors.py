"""Every exception that MiniML raises on purpose, under one root.

    MiniMLError
    |- UsageError            the command line, model.toml or boards.ini is wrong
    |  |- SettingsError          a key, type or range (file and key named)
    |  |- DataError              the CSV (file, row and column named)
    |  `- ModeError              an export mode that isn't there
    |- ModelError            a model that the numeric contract can't carry
    |  |- LockError              model.lock.json missing, damaged or stale
    |  `- BudgetError            too large or too slow for a board
    |- NoBoardError          nothing to run on
    `- BoardError            the infrastructure: port, cable, loader, firmware
       |- PortError              in use, missing, vanished
       |- FlashError             the flashing tool failed
       |- SilentBoardError       no answer in time
       |- LinkError              answers that break the protocol
       |- WrongBoardError        another board hangs on this port
       |- StaleFirmwareError     another model or another build runs there
       `- SimulatorError         the simulated board could not start or died

A message is one line: what was wrong, where, and what to do.
"""

from __future__ import annotations


class MiniMLError(Exception):
    """Root of all errors; `exit_code` is what the `miniml` command ends with."""

    exit_code = 4


class UsageError(MiniMLError):
    """The user's input is wrong; nothing was changed."""

    exit_code = 2


class SettingsError(UsageError):
    """A wrong key, type or range in a settings file."""


class DataError(UsageError):
    """A CSV that can't be used; names file, row and column."""


class ModeError(UsageError):
    """An export mode that no backend has; names the nearest one."""


class ModelError(MiniMLError):
    """The numeric contract can't carry this model (docs/QUANTIZATION.md)."""

    exit_code = 2


class LockError(ModelError):
    """model.lock.json is missing, damaged, or made from other data or settings."""


class BudgetError(ModelError):
    """The model breaks a board's flash, SRAM, stack, cycle or accuracy budget."""

    exit_code = 1


class NoBoardError(MiniMLError):
    """No board, real or simulated, to run on."""

    exit_code = 3


class BoardError(MiniMLError):
    """Something between this machine and a board failed; no verdict on the model."""


class PortError(BoardError):
    """The serial port is missing, in use, not permitted, or vanished."""


class FlashError(BoardError):
    """The flashing tool failed; its last line is in the message."""


class SilentBoardError(BoardError):
    """The board did not answer in time."""


class LinkError(BoardError):
    """The board answered, but not in the protocol (docs/PROTOCOL.md)."""


class WrongBoardError(BoardError):
    """A board of another kind answered on this port."""


class StaleFirmwareError(BoardError):
    """The board runs another model or another build than the one on disk."""


class SimulatorError(BoardError):
    """A simulated board could not be started, or died."""
