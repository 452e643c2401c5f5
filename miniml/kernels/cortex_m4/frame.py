"""Entry, input lanes, early exits and return: what surrounds the layers."""

from __future__ import annotations

from dataclasses import dataclass

from miniml.kernels.cortex_m4.assembly import Assembly
from miniml.kernels.cortex_m4.sinks import LAYERS_SLOT
from miniml.model import QuantizedModel

SLOTS = 16
SAVED = 36  # r4 to r11 and lr
# Input words in one batch, besides in (r0), the clamp (r1), and r2, r3 for pointer and spare.
_BATCH = ("r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr")
_STRAIGHT_WORDS = 60
_SMALL_BATCH = 2


@dataclass(frozen=True)
class Frame:
    """The stack below the saved registers.

    Attributes:
        offsets: of the lanes that each layer reads.
        size: bytes; with the saved registers a multiple of 8.
    """

    offsets: tuple[int, ...]
    size: int

    @staticmethod
    def of(model: QuantizedModel) -> Frame:
        """Two areas, read and written in turn."""
        lanes = [4 * -(-width // 2) for width in model.widths[:-1]]
        first = max(lanes[0::2])
        second = max(lanes[1::2], default=0)
        size = SLOTS + first + second
        offsets = tuple(SLOTS + (first if i % 2 else 0) for i in range(len(lanes)))
        return Frame(offsets, size + (4 - size) % 8)


def input_columns(n: int) -> tuple[int, ...]:
    """The input in each lane: bytes 0, 2, 1, 3 of each word, then the rest."""
    words = [4 * word + byte for word in range(n // 4) for byte in (0, 2, 1, 3)]
    return (*words, *range(n // 4 * 4, n))


def write_entry(code: Assembly, model: QuantizedModel, frame: Frame, *, small: bool) -> int:
    """Save, clamp and widen the input; returns what a lane lacks to the input's value."""
    code.op("push.w {r4, r5, r6, r7, r8, r9, r10, r11, lr}", 4, 10)
    _move_sp(code, "sub", frame.size)
    code.store("r1", "sp", LAYERS_SLOT)
    nonnegative = model.input.input_min == 0
    # Saturating bytes: max(x, 0) - 128, or max(x, -127) - 1.
    code.op(f"mov.w r1, #{'0x80808080' if nonnegative else '0xFFFFFFFF'}")
    n = model.n_inputs
    words, batch = n // 4, _SMALL_BATCH if small else len(_BATCH)
    times = words // batch if words > (2 * batch if small else _STRAIGHT_WORDS) else 0
    start = frame.offsets[0]
    base, offset = ("r2", 0) if times else ("sp", start)
    if times:
        code.frame_address("r2", start)
        with code.loop(f".L{model.name}_input", times):
            # The word at offset 0 comes last: it advances the pointer.
            for turn in (*range(1, batch), 0):
                code.load(_BATCH[turn], "r0", 4 * turn, None if turn else 4 * batch)
            for turn in (*range(1, batch), 0):
                _widen(code, _BATCH[turn], "r3", "r2", 8 * turn, 0 if turn else 8 * batch)
            code.frame_address("r3", start + 8 * batch * times)
            code.op("cmp.n r2, r3", 2)
    left = words - times * batch
    for at in range(0, left, batch):
        part = _BATCH[: min(batch, left - at)]
        for index, register in enumerate(part, start=at):
            code.load(register, "r0", 4 * index)
        for index, register in enumerate(part, start=at):
            _widen(code, register, "r3", base, offset + 8 * index)
    for byte in range(4 * left, 4 * left + n % 4):
        code.load_byte("r3", f"r0, #{byte}", "r0")
        code.op("qadd8 r3, r3, r1")
        code.op("sxtb.w r3, r3")
        code.op(f"strh.w r3, [{base}, #{offset + 2 * byte}]")
    return 128 if nonnegative else 1


def _widen(
    code: Assembly, register: str, spare: str, base: str, offset: int, advance: int = 0
) -> None:
    """Four bytes to two words of lanes at base + offset; the base may advance behind them."""
    code.op(f"qadd8 {register}, {register}, r1")
    code.op(f"sxtb16 {spare}, {register}")
    code.op(f"sxtb16 {register}, {register}, ror #8")
    code.store(register, base, offset + 4)
    if advance:
        code.op(f"str.w {spare}, [{base}], #{advance}")
    else:
        code.store(spare, base, offset)


def _move_sp(code: Assembly, operation: str, size: int) -> None:
    if size <= 4095:
        code.op(f"{operation}w sp, sp, #{size}")
    else:
        code.constant("r12", size)
        code.op(f"{operation}.w sp, sp, r12")


def write_return(code: Assembly, frame: Frame, name: str, output: str) -> None:
    """The result is the output's bytes; early exits come here too."""
    code.label(f".L{name}_done")
    code.address("r0", output)
    _move_sp(code, "add", frame.size)
    code.op("pop.w {r4, r5, r6, r7, r8, r9, r10, r11, pc}", 4, 12)


def write_exit(code: Assembly, name: str, number: int) -> None:
    """Behind a hidden layer: leave if it was the last one asked for."""
    code.load("r0", "sp", LAYERS_SLOT)
    code.op(f"cmp.n r0, #{number}", 2)
    code.op(f"beq.w .L{name}_stop_{number}")


def write_stop(
    code: Assembly,
    name: str,
    number: int,
    offset: int,
    rows: tuple[int, ...],
    output: str,
    order: str,
) -> None:
    """Lanes of a hidden layer to bytes in the model's order.

    Args:
        code: to add to; behind the return.
        name: of the model.
        number: of the layer.
        offset: of its lanes in the frame.
        rows: in the lanes' order.
        output: symbol of the bytes.
        order: symbol of the rows as bytes or halfwords, or "": they are in order.
    """
    code.label(f".L{name}_stop_{number}")
    code.frame_address("r0", offset)
    code.address("r1", output)
    code.constant("r2", len(rows))
    if order:
        code.address("r3", order)
    code.label(f".L{name}_copy_{number}")
    code.op("ldrh.w r4, [r0], #2")
    if order:
        width = "b" if len(rows) <= 256 else "h"
        code.op(f"ldr{width}.w r5, [r3], #{1 if width == 'b' else 2}")
        code.op("strb.w r4, [r1, r5]")
    else:
        code.op("strb.w r4, [r1], #1")
    code.op("subs.w r2, r2, #1")
    code.op(f"bne.w .L{name}_copy_{number}")
    code.op(f"b.w .L{name}_done")
