"""Where a pass leaves its rows: halfword lanes for the next layer, or the output's bytes."""

from __future__ import annotations

from dataclasses import dataclass

from miniml.kernels.cortex_m4.assembly import Assembly

# Words of the frame.
LAYERS_SLOT, POINTER_SLOT, COUNT_SLOT, RETURN_SLOT = 0, 4, 8, 12


@dataclass(frozen=True)
class Sink:
    """The destination of a layer's rows.

    Attributes:
        last: bytes at `symbol`, else halfwords in the frame at `offset`.
        looped: through a pointer in the frame that each pass advances.
    """

    last: bool
    offset: int
    symbol: str
    looped: bool

    def start_loop(self, code: Assembly, first: int, passes: int) -> None:
        """Set pointer and count for passes that begin at a position of the layer."""
        if self.last:
            code.address("r0", self.symbol + (f" + {first}" if first else ""))
        else:
            code.frame_address("r0", self.offset + 2 * first)
        code.store("r0", "sp", POINTER_SLOT)
        code.constant("r0", passes)
        code.store("r0", "sp", COUNT_SLOT)

    def base(self, code: Assembly, free: list[str]) -> str:
        """A register that the stores of a pass use."""
        if self.looped:
            register = free.pop(0)
            code.load(register, "sp", POINTER_SLOT)
        elif self.last:
            register = free.pop(0)
            code.address(register, self.symbol)
        else:
            register = "sp"
        return register

    def put(self, code: Assembly, base: str, register: str, position: int) -> None:
        """Store one row's value; `position` is within the pass if looped, else in the layer."""
        if self.last:
            code.op(f"strb.w {register}, [{base}, #{position}]")
        else:
            code.op(f"strh.w {register}, [{base}, #{2 * position + self._shift}]")

    def put_two(self, code: Assembly, base: str, register: str, position: int) -> None:
        """Store two rows' halfwords; the position is even."""
        code.store(register, base, 2 * position + self._shift)

    def finish(self, code: Assembly, base: str, spare: str, rows: int) -> None:
        """Advance the pointer, count the pass; Z is set behind the last one."""
        if self.looped:
            code.load(spare, "sp", COUNT_SLOT)
            code.op(f"add.w {base}, {base}, #{rows if self.last else 2 * rows}")
            code.store(base, "sp", POINTER_SLOT)
            code.op(f"subs.w {spare}, {spare}, #1")
            code.store(spare, "sp", COUNT_SLOT)

    @property
    def _shift(self) -> int:
        return 0 if self.looped else self.offset
