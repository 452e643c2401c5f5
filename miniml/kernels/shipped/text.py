"""The text of a kernel as a program: instructions and bytes at addresses, as a linker places them.

Knows what the generators of this package write, no more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

SRAM = 0x2000_0000
# Where a layer begins, or what belongs to none.
_MARK = re.compile(r"@ (?:layer (\d+)|the run):")
_OPERANDS = re.compile(r"\{[^}]*\}|\[[^]]*\]|[^,\s][^,]*")
_SIZES = {".word": 4, ".hword": 2, ".byte": 1}


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: such as "adds" or "ldr"; the width is left out.
        operands: such as ("r0", "[r1, #4]", "#8").
        size: bytes.
        mark: from here on the layer with this number runs, with 0 none; None: as before.
    """

    name: str
    operands: tuple[str, ...]
    size: int
    mark: int | None


@dataclass(eq=False)
class Program:
    """What a text defines.

    Attributes:
        flash_base: address of the flash.
        instructions: by address.
        flash, sram: content from flash_base and from SRAM on.
        symbols: addresses of labels.
    """

    flash_base: int
    instructions: dict[int, Instruction] = field(default_factory=dict)
    flash: bytearray = field(default_factory=bytearray)
    sram: bytearray = field(default_factory=bytearray)
    symbols: dict[str, int] = field(default_factory=dict)

    def value(self, text: str) -> int:
        """A number, or a symbol with what is added to it."""
        total = 0
        for part in text.split("+"):
            word = part.strip()
            total += self.symbols[word] if word in self.symbols else int(word, 0)
        return total & 0xFFFF_FFFF


def register(name: str) -> int:
    """The number of a register."""
    return {"sp": 13, "lr": 14, "pc": 15}.get(name) or int(name[1:])


def registers(text: str) -> list[int]:
    """Those of a list in braces, in the order of addresses."""
    found: list[int] = []
    for part in text.strip("{}").split(","):
        first, _, last = part.strip().partition("-")
        found += range(register(first), register(last or first) + 1)
    return sorted(found)


def read(assembly: str, flash_base: int, *, narrow: bool) -> Program:
    """Place the sections of a text: code, then other constants in flash, then the SRAM.

    Args:
        assembly: of a KernelProgram.
        flash_base: where the flash begins.
        narrow: instructions without a width have 16 bits, BL apart (ARMv6-M).
    """
    program = Program(flash_base)
    later: list[tuple[bytearray, int, int, str]] = []
    sections = _sections(assembly)
    order = sorted(sections, key=lambda name: [".text", ".rodata", ".data", ".bss"].index(name))
    for name in order:
        in_flash = name in (".text", ".rodata")
        content = program.flash if in_flash else program.sram
        base = flash_base if in_flash else SRAM
        mark = None
        for line in sections[name]:
            if found := _MARK.search(line):
                mark = int(found[1] or 0)
            words = line.partition("@")[0].split(None, 1)
            if not words:
                continue
            first, rest = words[0], words[1].strip() if len(words) > 1 else ""
            if first.endswith(":"):
                program.symbols[first[:-1]] = base + len(content)
            elif first == ".balign":
                content.extend(bytes(-len(content) % int(rest)))
            elif first == ".space":
                content.extend(bytes(int(rest)))
            elif first in _SIZES:
                size = _SIZES[first]
                for value in rest.split(","):
                    later.append((content, len(content), size, value))
                    content.extend(bytes(size))
            elif not first.startswith("."):
                one = _instruction(first, rest, mark, narrow=narrow)
                program.instructions[base + len(content)] = one
                mark = None
                content.extend(bytes(one.size))
    for content, at, size, text in later:
        number = program.value(text) & ((1 << 8 * size) - 1)
        content[at : at + size] = number.to_bytes(size, "little")
    return program


def _sections(assembly: str) -> dict[str, list[str]]:
    """Lines by the kind of their section, in the order of the text."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in re.sub(r"/\*.*?\*/", "", assembly, flags=re.DOTALL).splitlines():
        words = line.split()
        if words and words[0] == ".section":
            kind = re.match(r"\.(text|rodata|data|bss)", words[1])
            assert kind is not None, line
            current = found.setdefault(kind[0], [])
        else:
            current.append(line)
    return found


def _instruction(word: str, rest: str, mark: int | None, *, narrow: bool) -> Instruction:
    name, _, width = word.partition(".")
    wide = name == "bl" if narrow else width != "n" and name != "it"
    operands: Sequence[str] = [text.strip() for text in _OPERANDS.findall(rest)]
    return Instruction(name, tuple(operands), 4 if wide else 2, mark)
