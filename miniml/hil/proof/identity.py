"""Who is on the port: board, model and build, checked against what is on disk."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from miniml.boards import Board
from miniml.errors import LinkError, StaleFirmwareError, WrongBoardError
from miniml.float_net import DeviceModel, FloatNet
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.link.session import Hello, Session
from miniml.kernels.program import KernelProgram

CANNOT_TELL = 0xFFFF
SHOWN_DIGITS = 16  # of the ids in messages: as many as HELLO carries


@dataclass(frozen=True)
class Identity:
    """What a board says of itself.

    Attributes:
        board: name from boards.ini, upper case.
        clock_hz: read at run time where the core can tell.
        compiler: `__VERSION__` of what built the firmware.
        hello: ModelId and build id.
    """

    board: str
    clock_hz: int
    compiler: str
    hello: Hello


@dataclass(frozen=True)
class StackUse:
    """Bytes of SRAM that the stack has ever taken, and bytes never touched; None: can't tell."""

    used: int | None
    untouched: int | None


def who_is_there(session: Session, settle_s: float) -> Identity:
    """HELLO and INFO BOARD, INFO TOOL.

    Raises:
        BoardError: silence, noise, or answers that break the protocol.
    """
    hello = session.hello(settle_s)
    words = session.ask("INFO", "BOARD")
    if len(words) != 2 or not re.fullmatch("[0-9A-F]{8}", words[1]):
        raise LinkError(f"INFO BOARD was answered by {' '.join(words)!r}: flash the board again")
    compiler = " ".join(session.ask("INFO", "TOOL"))
    return Identity(board=words[0], clock_hz=int(words[1], 16), compiler=compiler, hello=hello)


def known_sequence(session: Session) -> int:
    """Cycles of a sequence that takes `KNOWN_SEQUENCE` on an ATmega; AVR boards only.

    Raises:
        LinkError: the answer is malformed.
    """
    return int.from_bytes(session.data(session.ask("TIME", "2"), 4), "big")


def check_board(identity: Identity, board: Board, port: str) -> None:
    """Refuses another board's firmware.

    Raises:
        WrongBoardError: names both boards.
    """
    if identity.board.upper() != board.name.upper():
        raise WrongBoardError(
            f"{identity.board.lower()} is on port {port}, not {board.name}: give another --port, "
            "or --adopt to flash it all the same"
        )


def check_firmware(identity: Identity, build: FirmwareBuild) -> None:
    """Refuses another model or another build than the one on disk.

    Raises:
        StaleFirmwareError: names both ids.
    """
    for what, there, here in (
        ("model", identity.hello.model_id, build.model_id),
        ("build", identity.hello.build_id, build.build_id),
    ):
        if there != here[: len(there)] or not there:
            raise StaleFirmwareError(
                f"{build.environment} runs {what} {there[:SHOWN_DIGITS]}, on disk is "
                f"{here[:SHOWN_DIGITS]}: flash it (miniml run flashes unless --no-flash is given)"
            )


def check_kernels(kernels: KernelProgram | None, build: FirmwareBuild) -> None:
    """Refuses a build whose kernels are not those that the cycles are foretold for.

    Raises:
        StaleFirmwareError: [code] of model.toml, boards.ini or MiniML changed since the build.
    """
    now = hashlib.sha256(kernels.assembly.encode()).hexdigest() if kernels else None
    if now != build.kernels_sha256:
        raise StaleFirmwareError(
            f"{build.environment} was built with other kernels than its settings give now: "
            f"run `pio run -e {build.environment}`"
        )


def check_shape(session: Session, model: DeviceModel) -> None:
    """Compares inputs, outputs, layers and the size of a value with the model.

    Raises:
        LinkError: the firmware claims the model's id and has another shape.
    """
    widths = model.widths
    expected = [f"{widths[0]:04X}", f"{widths[-1]:04X}", f"{len(widths) - 1:02X}"]
    expected.append("04" if isinstance(model, FloatNet) else "01")
    found = list(session.ask("INFO", "SHAPE"))
    same = found == expected
    expected += [f"{width:04X}" for width in widths[1:]]
    if same:
        for layer in range(1, len(widths)):
            found += session.ask("INFO", "LAYER", f"{layer:02X}")
    if found != expected:
        raise LinkError(
            f"the board's shape is {' '.join(found)}, the model's {' '.join(expected)}: rebuild "
            "and flash it"
        )


def stack_use(session: Session) -> StackUse:
    """The painted high-water mark.

    Raises:
        LinkError: the answer is malformed.
    """
    words = session.ask("INFO", "SIZE")
    if not re.fullmatch("[0-9A-F]{4} [0-9A-F]{4}", " ".join(words)):
        raise LinkError(f"INFO SIZE was answered by {' '.join(words)!r}: flash it again")
    used, untouched = (int(word, 16) for word in words)
    told = (used, untouched) != (CANNOT_TELL, CANNOT_TELL)
    return StackUse(used if told else None, untouched if told else None)
