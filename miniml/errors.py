"""Every exception that MiniML raises on purpose, under one root.

    MiniMLError
    |- UsageError            the command line, model.toml, boards.ini or a call is wrong
    |  |- SettingsError          a key, type or range (file and key named)
    |  |  `- UnknownActivationError
    |  |- ModeError              an export mode that isn't there
    |  |- DataError              the CSV or the rows (file, row and column named)
    |  |  |- EmptyDataError          no rows
    |  |  |- OneClassError           nothing to tell apart
    |  |  |- LabelError              a label out of range
    |  |  `- ShapeError              rows that don't match n_inputs and n_outputs
    |  |- BundleError            a bundle that is damaged, or another program's
    |  |- NotFittedError         quantize, predict, ... before fit
    |  |- NotQuantizedError      what only a quantized model has
    |  `- UnknownModelError      no model of that name in the registry
    |- ModelError            a model that the numeric contract can't carry
    |  |- ModelNameError         a name that can't prefix C symbols
    |  |- WeightError            a weight that is NaN or infinite
    |  |- CalibrationError       rows that tell nothing about the ranges
    |  |- AccumulatorError       a row that could pass 32 bits
    |  |- MultiplierError        a requantization multiplier out of range
    |  |- ModelFileError         a model's JSON damaged, or from another version
    |  |- LockError              model.lock.json missing, damaged or stale
    |  `- BudgetError            too large, too slow or not accurate enough
    |     `- AccuracyLossError       quantization costs more than is allowed
    |- KernelTextError       a kernel that the cost model can't read
    |- ReportError           a report that can't be written
    |- UnfinishedError       a run that was interrupted or killed
    |- NoBoardError          nothing to run on
    `- BoardError            the infrastructure: port, cable, loader, firmware
       |- PortError              in use, missing, vanished
       |- FlashError             the flashing tool failed
       |- SilentBoardError       no answer in time
       |- LinkError              answers that break the protocol
       |- WrongBoardError        another board hangs on this port
       |- PoisonedError          left alone since it did not come back
       |- StaleFirmwareError     another model or another build runs there
       `- SimulatorError         the simulated board could not start or died

A message is one line: what was wrong, where, and what to do.
"""

from __future__ import annotations

from typing import Self


class MiniMLError(Exception):
    """Root of all errors; `exit_code` is what the `miniml` command ends with."""

    exit_code = 4

    def __str__(self) -> str:
        """The message: one line that drives no terminal, whatever a file or tool brought along."""
        line = " ".join(super().__str__().splitlines())
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)


class UsageError(MiniMLError):
    """The user's input is wrong; nothing was changed."""

    exit_code = 2


class SettingsError(UsageError):
    """A wrong key, type or range in a settings file."""


class UnknownActivationError(SettingsError):
    """An activation that no layer has."""


class DataError(UsageError):
    """A CSV or rows that can't be used; names file, row and column."""


class EmptyDataError(DataError):
    """There are no rows."""


class OneClassError(DataError):
    """All rows belong to one class: there is nothing to tell apart."""


class LabelError(DataError):
    """A class label that is no whole number from 0 to the number of classes - 1."""


class ShapeError(DataError):
    """Rows whose width doesn't match n_inputs and n_outputs."""


class BundleError(UsageError):
    """A bundle that is damaged, incomplete, or made by something else; no board was touched."""


class NotFittedError(UsageError):
    """Something that only a trained model can do; `fit` comes first."""


# An AttributeError as well, so that hasattr(network, "q_W1") is False before quantize.
class NotQuantizedError(UsageError, AttributeError):
    """Something that only a quantized model has; `quantize` comes first."""


class UnknownModelError(UsageError):
    """The registry of `ml_manager` has no model of that name."""


class ModeError(UsageError):
    """An export mode that no backend has; names the nearest one."""


class ModelError(MiniMLError):
    """The numeric contract can't carry this model (docs/QUANTIZATION.md)."""

    exit_code = 2


class ModelNameError(ModelError):
    """A model's name that can't prefix C symbols (docs/GUIDE_NOTES.md)."""


class WeightError(ModelError):
    """A weight or bias that is NaN or infinite."""


class CalibrationError(ModelError):
    """Rows that tell nothing about an activation's range."""


class AccumulatorError(ModelError):
    """A row whose 32-bit accumulator can't be proved not to wrap."""


class MultiplierError(ModelError):
    """A requantization multiplier that is negative, not finite or too large."""


class ModelFileError(ModelError):
    """A model's JSON that is damaged, can't be read, or is of another version."""


class LockError(ModelError):
    """model.lock.json is missing, damaged, or made from other data or settings."""


class BudgetError(ModelError):
    """The model breaks a board's flash, SRAM, stack, cycle or accuracy budget."""

    exit_code = 1


class AccuracyLossError(BudgetError):
    """Quantization costs more accuracy than is allowed."""


class KernelTextError(MiniMLError):
    """A kernel has an instruction that the cost model does not know: a bug of ours."""


class ReportError(MiniMLError):
    """A report that can't be written: no rights, no room."""


class UnfinishedError(MiniMLError):
    """A run that is under way, or was interrupted or killed; what its report says until it ends."""


class NoBoardError(MiniMLError):
    """No board, real or simulated, to run on."""

    exit_code = 3


class BoardError(MiniMLError):
    """Something between this machine and a board failed; no verdict on the model.

    Attributes:
        unresponsive: whether the board itself may hang, so that a power cycle may help.
    """

    unresponsive = False

    def of_the_board(self) -> Self:
        """This error, said to be the board's own."""
        self.unresponsive = True
        return self


class PortError(BoardError):
    """The serial port is missing, in use, not permitted, or vanished."""


class FlashError(BoardError):
    """The flashing tool failed; its last line is in the message."""


class SilentBoardError(BoardError):
    """The board did not answer in time."""

    unresponsive = True


class LinkError(BoardError):
    """The board answered, but not in the protocol (docs/PROTOCOL.md)."""


class PoisonedError(BoardError):
    """The board did not come back in an earlier run, and nobody has said that it was repaired."""


class WrongBoardError(BoardError):
    """A board of another kind answered on this port."""


class StaleFirmwareError(BoardError):
    """The board runs another model or another build than the one on disk."""


class SimulatorError(BoardError):
    """A simulated board could not be started, or died."""
