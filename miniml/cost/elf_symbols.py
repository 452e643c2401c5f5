"""What a compiled program holds, by name."""

from __future__ import annotations

from pathlib import Path

from elftools.elf.constants import SH_FLAGS
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


def loaded_bytes(program: Path) -> tuple[int, int]:
    """Bytes of flash and of SRAM that the sections of an ELF take.

    What is written to at run time and has a content takes both: it is copied at start-up.
    """
    flash = sram = 0
    with program.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            flags, size = section["sh_flags"], section["sh_size"]
            if flags & SH_FLAGS.SHF_ALLOC:
                flash += size * (section["sh_type"] != "SHT_NOBITS")
                sram += size * bool(flags & SH_FLAGS.SHF_WRITE)
    return flash, sram
