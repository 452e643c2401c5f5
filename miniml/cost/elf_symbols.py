"""What a compiled program holds, by name."""

from __future__ import annotations

from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection


def symbols(program: Path) -> dict[str, tuple[int, int]]:
    """Address and size of every function and object of an ELF, by name."""
    with program.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        return {
            symbol.name: (int(symbol["st_value"]), int(symbol["st_size"]))
            for symbol in table.iter_symbols()
            if symbol["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT")
        }
