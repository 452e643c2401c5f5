"""AVR assembly that knows its own size and cycles."""

from __future__ import annotations

# Cycles of instructions of one word on an ATmega328P (AVRe+, 16-bit program counter); one that is
# not named takes one. A branch counts as not taken, a skip as not skipping.
_CYCLES = {
    **dict.fromkeys(("mul", "muls", "mulsu", "ld", "ldd", "st", "std", "adiw", "sbiw"), 2),
    **dict.fromkeys(("push", "pop", "rjmp"), 2),
    **dict.fromkeys(("lpm", "rcall"), 3),
    "ret": 4,
}
# Two words; then their cycles.
_LONG = {"lds": 2, "sts": 2, "call": 4, "jmp": 3}
TAKEN = 1  # what a branch that is taken takes on top


class Code:
    """Lines of assembly with their bytes and the cycles of running straight through them."""

    def __init__(self) -> None:
        """Begins empty."""
        self.lines: list[str] = []
        self.bytes = 0
        self.cycles = 0

    def op(self, *instructions: str) -> None:
        """Add instructions, such as "mul r2, r16"."""
        for instruction in instructions:
            name = instruction.split(maxsplit=1)[0]
            long = name in _LONG
            self.bytes += 4 if long else 2
            self.cycles += _LONG[name] if long else _CYCLES.get(name, 1)
            self.lines.append("    " + instruction)

    def label(self, name: str) -> None:
        """Add a label; a number is local (`1f`, `1b`)."""
        self.lines.append(f"{name}:")

    def comment(self, text: str) -> None:
        """Add a line that says why."""
        self.lines.append(f"    ; {text}")

    def extend(self, other: Code) -> None:
        """Add other code, run once."""
        self.repeat(other, 1)

    def repeat(self, body: Code, times: int) -> None:
        """Add the body of a loop that runs `times` times; a branch back is in the body."""
        self.lines += body.lines
        self.bytes += body.bytes
        self.cycles += body.cycles * times

    def loop(self, body: Code, times: int, compare: tuple[str, ...]) -> None:
        """Add a loop: the body, a comparison that is equal at the end, and the branch back."""
        whole = Code()
        whole.extend(body)
        whole.op(*compare)
        if whole.bytes > 126:  # BRNE reaches 64 words back
            whole.op("breq .+2", "rjmp 1b")
            back, end = 1 + 2, 1 + TAKEN
            whole.cycles -= 1 + 2
        else:
            whole.op("brne 1b")
            back, end = 1 + TAKEN, 1
            whole.cycles -= 1
        self.label("1")
        self.repeat(whole, times)
        self.cycles += back * (times - 1) + end

    def load_constant(self, registers: tuple[int, ...], value: int) -> None:
        """Load a constant into upper registers, the lowest byte into the first."""
        for position, register in enumerate(registers):
            self.op(f"ldi r{register}, {value >> 8 * position & 255}")

    def load_address(self, low: int, symbol: str) -> None:
        """Load an address into a pair of upper registers."""
        self.op(f"ldi r{low}, lo8({symbol})", f"ldi r{low + 1}, hi8({symbol})")

    def add_constant(self, registers: tuple[int, ...], value: int) -> None:
        """Add a constant modulo 2^(8 n) to upper registers; flags as after the last SBCI."""
        for position, register in enumerate(registers):
            name = "sbci" if position else "subi"
            self.op(f"{name} r{register}, {-value >> 8 * position & 255}")

    def move(self, target: tuple[int, ...], source: tuple[int, ...]) -> None:
        """Copy registers; two at once where both are even pairs. None may be lost on the way."""
        position = 0
        while position < len(target):
            to, of = target[position : position + 2], source[position : position + 2]
            if to[0] == of[0]:
                position += 1
            elif len(to) == 2 and all(p % 2 == 0 and q == p + 1 for p, q in (to, of)):
                self.op(f"movw r{to[0]}, r{of[0]}")
                position += 2
            else:
                self.op(f"mov r{to[0]}, r{of[0]}")
                position += 1
