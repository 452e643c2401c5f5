"""A Cortex-M4 or M0+ with memory and a bus: runs code and counts its cycles.

The boards are built on this. Alone, it runs a function of an ELF and says what it cost:

    machine = Machine.bare("cortex-m4")
    machine.load_elf(Path("kernel.elf"))
    result = machine.call(machine.symbols["dot"], 0x20000000, 64)
    result.cycles, result.value, machine.read(0x20000000, 64)
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from miniml.errors import SimulatorError
from miniml.sim.arm.core import NO_CYCLE, BusRead, BusWrite, Core, Stop, Timing, library
from miniml.sim.arm.memory import Memory

CoreName = Literal["cortex-m4", "cortex-m0plus"]

# CPUID: ARMv7-M ARM B3.2.3; Cortex-M4 r0p1 (RM0090), Cortex-M0+ r0p1 (RP2040 datasheet).
CPUIDS = {"cortex-m4": 0x410FC241, "cortex-m0plus": 0x410CC601}
# Timing assumptions; sources and expected error in docs/SIMULATOR_ARM.md.
PARAMETERS = {
    "cortex-m4": {
        "refill": 2,
        "multiply_accumulate": 1,
        "address_stall": 0,
        "load_overlap": 1,
        "fp_result_stall": 1,
        "unaligned": 1,
        "exception_entry": 12,
        "exception_return": 10,
    },
    "cortex-m0plus": {
        "refill": 1,
        "multiply_accumulate": 1,
        "address_stall": 0,
        "load_overlap": 0,
        "fp_result_stall": 0,
        "unaligned": 0,
        "exception_entry": 15,
        "exception_return": 13,
    },
}


@dataclass(frozen=True)
class FlashTiming:
    """What a flash costs on top of zero wait states (docs/SIMULATOR_ARM.md, "As shipped").

    Attributes:
        kind: 1: ART accelerator of the STM32F4; 2: XIP cache of the RP2040.
        base, size: of the flash.
        wait: wait states (ART), cycles of a line's fill (XIP).
    """

    kind: int
    base: int
    size: int
    wait: int


# RM0090, table 10: 5 wait states from 150 MHz on at 2.7 V to 3.6 V.
ART_168_MHZ = FlashTiming(1, 0x0800_0000, 1 << 20, 5)
# A line of 8 bytes by the quad read EBh with continuous mode: 8 clocks of address and mode, 4 of
# waiting, 16 of data, two core cycles each, and the SSI's own overhead of 8 (our assumption).
XIP_125_MHZ = FlashTiming(2, 0x1000_0000, 1 << 21, 64)

_NEVER = 1  # an odd address is never executed
_RETURN = 0x1FFF_E000  # a call returns here: a page of its own that no board uses
_REGISTER_IDS = 16  # core_register: unicorn's own numbers begin here (CORE_SPECIAL)
XPSR, FPSCR, S0 = 120, 6, 79


class Bus(Protocol):
    """What lies behind addresses that are not memory."""

    def read(self, address: int, size: int) -> int:
        """The value of 1, 2 or 4 bytes."""

    def write(self, address: int, size: int, value: int) -> None:
        """Store 1, 2 or 4 bytes."""


class _EmptyBus:
    def read(self, address: int, size: int) -> int:
        return 0

    def write(self, address: int, size: int, value: int) -> None:
        pass


@dataclass(frozen=True)
class CallResult:
    """What a call of a function cost and returned.

    Attributes:
        stop: TRAP when the function returned, else why it did not.
        cycles: from the first instruction to the return, the return included.
        instructions: executed.
        value: R0 (unsigned).
        stack: bytes below the SP at the call.
    """

    stop: Stop
    cycles: int
    instructions: int
    value: int
    stack: int


class Machine:
    """One core with its memories and bus. Cycle counts are deterministic."""

    def __init__(
        self,
        core: CoreName,
        memories: Sequence[Memory],
        bus: Bus | None = None,
        windows: Sequence[tuple[int, int]] = (),
        parameters: Mapping[str, int] | None = None,
        flash: FlashTiming | None = None,
    ) -> None:
        """Map everything; call `reset` before running.

        Args:
            core: which timing tables and which instruction set.
            memories: mapped with all their aliases.
            bus: behind the windows; None reads as zero.
            windows: (address, size) of peripherals; the core's own registers are there
                without asking.
            parameters: timing assumptions that differ from PARAMETERS.
            flash: what fetches and reads of the flash cost; None: no wait states.

        Raises:
            SimulatorError: unicorn is missing or refuses, or the C part can't be compiled.
        """
        try:
            from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB
            from unicorn.arm_const import UC_CPU_ARM_CORTEX_M0, UC_CPU_ARM_CORTEX_M4
            from unicorn.unicorn_py3 import unicorn as unicorn_module
        except ImportError:
            raise SimulatorError(
                "the simulated ARM boards need the package unicorn: pip install 'unicorn>=2.1,<3'"
            ) from None
        self.name = core
        self.memories = list(memories)
        self.symbols: dict[str, int] = {}
        self.bus_error: Exception | None = None
        self._bus = bus or _EmptyBus()
        self._library = library()
        m4 = core == "cortex-m4"
        binding: Any = unicorn_module  # has annotations, but not on everything
        self._uc: Any = binding.Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4 if m4 else UC_CPU_ARM_CORTEX_M0)
        self._pointer = self._library.core_new(int(m4))
        self.core: Core = self._pointer.contents
        engine = self.core.engine
        engine.handle = self._uc._uch
        for name, _ in engine._fields_[1:]:
            function = getattr(binding.uclib, f"uc_{name}")
            setattr(engine, name, ctypes.cast(function, ctypes.c_void_p))
        for name, value in (PARAMETERS[core] | dict(parameters or {})).items():
            setattr(self.core.parameters, name, value)
        self.core.cpuid = CPUIDS[core]
        self.core.priority_mask = 0xF0 if m4 else 0xC0
        self.core.external_reference_cycles = 8
        # Kept: ctypes callbacks live only as long as somebody holds them.
        self._callbacks = (BusRead(self._read_bus), BusWrite(self._write_bus))
        self.core.bus_read, self.core.bus_write = self._callbacks
        self._check(self._library.core_attach(self._pointer), "hooks")
        if flash is not None:
            self._check(self._library.core_attach_memory(self._pointer), "a hook on reads")
            self._library.core_memory_timing(
                self._pointer, flash.kind, flash.base, flash.size, flash.wait
            )
        for memory in self.memories:
            self._map(memory)
        self._exit = Memory("returns", [_RETURN], 8192)
        self._exit.load(b"\x00\xbf" * 4096)
        self._map(self._exit)
        for address, size in [*windows, (0xE000_0000, 0x10_0000)]:
            self._check(self._library.core_map_bus(self._pointer, address, size), "a bus window")

    @classmethod
    def bare(
        cls,
        core: CoreName,
        parameters: Mapping[str, int] | None = None,
        bus: Bus | None = None,
        windows: Sequence[tuple[int, int]] = (),
        flash: FlashTiming | None = None,
    ) -> Machine:
        """1 MB of RAM; code at 0 and at 0x08000000 (M4, 1 MB) or 0x10000000 (M0+, 2 MB)."""
        code = 0x0800_0000 if core == "cortex-m4" else 0x1000_0000
        memories = [
            Memory("flash", [code, 0], 1 << 20 if core == "cortex-m4" else 1 << 21),
            Memory("RAM", [0x2000_0000], 1 << 20),
        ]
        machine = cls(core, memories, bus, windows, parameters, flash)
        machine._library.core_reset(machine._pointer)
        machine.core.cpacr = 0xF0_0000
        return machine

    def close(self) -> None:
        """Free unicorn's and the core's memory; the machine is of no use afterwards."""
        self._uc = None
        if self._pointer:
            self._library.core_free(self._pointer)
            self._pointer = None

    # ---- memory and registers ----

    def read(self, address: int, size: int) -> bytes:
        """Bytes as the core sees them, without side effects on peripherals.

        Raises:
            ValueError: the address is not memory.
        """
        memory, offset = self._find(address, size)
        return bytes(memory.content[offset : offset + size])

    def write(self, address: int, content: bytes) -> None:
        """Change memory, code included.

        Raises:
            ValueError: the address is not memory.
        """
        self._find(address, len(content))
        self._uc.mem_write(address, content)

    def register(self, number: int) -> int:
        """R0 to R15 (13 = SP, 14 = LR, 15 = PC)."""
        return int(self._library.core_register(self._pointer, number))

    def set_register(self, number: int, value: int) -> None:
        """Set R0 to R15; a PC is taken as Thumb code."""
        self._library.core_set_register(self._pointer, number, value & 0xFFFF_FFFF)

    def special(self, identifier: int) -> int:
        """XPSR, FPSCR, or S0 + n."""
        return int(self._library.core_register(self._pointer, _REGISTER_IDS + identifier))

    def set_special(self, identifier: int, value: int) -> None:
        """Set XPSR, FPSCR, or S0 + n."""
        self._library.core_set_register(self._pointer, _REGISTER_IDS + identifier, value)

    def load_elf(self, path: Path) -> int:
        """Load every segment and the symbols of an ELF; returns its entry point.

        Raises:
            ValueError: a segment lies outside the memories.
        """
        with path.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                if segment["p_filesz"]:
                    self.write(segment["p_paddr"], segment.data())
                    if segment["p_vaddr"] != segment["p_paddr"]:
                        self.write(segment["p_vaddr"], segment.data())
            for section in elf.iter_sections():
                if isinstance(section, SymbolTableSection):
                    for symbol in section.iter_symbols():
                        self.symbols[symbol.name] = symbol["st_value"]
            return int(elf["e_entry"])

    # ---- running ----

    def reset(self, vectors: int) -> None:
        """As the reset line does: registers, exceptions, then SP and PC from the vectors."""
        self.core.vtor = vectors
        self._library.core_reset(self._pointer)

    def run(
        self,
        cycles: int | None = None,
        instructions: int | None = None,
        until: int | None = None,
    ) -> Stop:
        """Go on until a limit, a BKPT, sleep, a reset request, a lockup or an address.

        Args:
            cycles: at most about this many more (the last instruction is finished).
            instructions: at most this many more.
            until: stop before the instruction at this address.

        Raises:
            Exception: what a peripheral raised while the core accessed it.
        """
        core = self.core
        core.deadline = NO_CYCLE if cycles is None else core.cycles + cycles
        limit = NO_CYCLE if instructions is None else core.instructions + instructions
        core.instruction_limit = limit
        core.trap_address = _NEVER if until is None else until & ~1
        self._library.core_run(self._pointer)
        if self.bus_error is not None:
            error, self.bus_error = self.bus_error, None
            raise error
        return Stop(core.stop)

    def call(
        self, address: int, *arguments: int, cycles: int = 10**9, sp: int = 0x2010_0000
    ) -> CallResult:
        """Call a function with up to four words as arguments.

        Args:
            address: of the function (bit 0 is ignored).
            arguments: R0 to R3.
            cycles: give up after this many.
            sp: the stack pointer at the call.
        """
        core = self.core
        for number, value in enumerate(arguments):
            self.set_register(number, value)
        self.set_register(13, sp)
        self.set_register(14, _RETURN | 1)
        self.set_register(15, address)
        core.lowest_sp = sp
        start, executed = core.cycles, core.instructions
        stop = self.run(cycles=cycles, until=_RETURN)
        return CallResult(
            stop,
            core.cycles - start,
            core.instructions - executed,
            self.register(0),
            sp - core.lowest_sp,
        )

    def stop(self) -> None:
        """From a peripheral: end the run before the next instruction."""
        self.core.stop_request = 1
        self.core.wake = 0

    def watch(self, address: int, value: int, until: int | None) -> None:
        """From a peripheral: a register reads this value up to a cycle, or None: until told.

        Loops that only poll it are then run through without asking again (core/polling.c).
        """
        end = NO_CYCLE if until is None else until
        self._library.polling_watch(self._pointer, address, value, end)

    def end_watch(self) -> None:
        """From a peripheral: what `watch` said no longer holds."""
        self._library.polling_end(self._pointer)

    def flash_stalls(self) -> tuple[int, int]:
        """Cycles that instruction fetches, and data, have waited for the flash."""
        found = [int(self._library.core_memory_stalls(self._pointer, data)) for data in (0, 1)]
        return found[0], found[1]

    def timing(self, opcode: int, wide: bool) -> Timing:
        """What the tables say of an opcode (16-bit ones in the upper half)."""
        result = Timing()
        self._library.core_timing(self._pointer, opcode, int(wide), ctypes.byref(result))
        return result

    # ---- internal ----

    def _check(self, error: int, what: str) -> None:
        if error:
            raise SimulatorError(f"unicorn refused {what} (error {error})")

    def _map(self, memory: Memory) -> None:
        permissions = 7 if memory.writable else 5  # UC_PROT_READ, WRITE, EXEC
        for address in memory.addresses:
            self._uc.mem_map_ptr(address, memory.size, permissions, memory.host_address)
            self._library.core_map_code(self._pointer, address, memory.size, memory.host_address)

    def _find(self, address: int, size: int) -> tuple[Memory, int]:
        for memory in self.memories:
            for base in memory.addresses:
                if base <= address and address + size <= base + memory.size:
                    return memory, address - base
        raise ValueError(f"no memory at {address:#010x} for {size} bytes")

    def _read_bus(self, address: int, size: int) -> int:
        try:
            return self._bus.read(address, size) & 0xFFFF_FFFF
        except Exception as error:
            self.bus_error = self.bus_error or error
            self.stop()
            return 0

    def _write_bus(self, address: int, size: int, value: int) -> None:
        try:
            self._bus.write(address, size, value)
        except Exception as error:
            self.bus_error = self.bus_error or error
            self.stop()
