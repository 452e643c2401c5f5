"""The C part of the simulated cores (core/*.c), compiled on first use, as ctypes types."""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import ClassVar

from miniml.errors import SimulatorError
from miniml.sim.compile import compile_c

EXCEPTIONS = 112
FIRST_INTERRUPT = 16
NO_CYCLE = 2**64 - 1

BusRead = ctypes.CFUNCTYPE(c_uint32, c_uint32, c_uint32)
BusWrite = ctypes.CFUNCTYPE(None, c_uint32, c_uint32, c_uint32)


class Stop(IntEnum):
    """Why a run ended (enum stop in core.h)."""

    NONE = 0
    DEADLINE = 1
    REQUEST = 2
    BREAKPOINT = 3
    SLEEP = 4
    RESET = 5
    LOCKUP = 6
    TRAP = 7


class Kind(IntEnum):
    """How an instruction behaves (enum kind in core.h)."""

    PLAIN = 0
    BRANCH = 1
    BRANCH_COND = 2
    IT = 3
    DIVIDE = 4
    WAIT_EVENT = 5
    YIELD = 6
    SEND_EVENT = 7
    MASK = 8
    ROUND_NEAREST = 9


class Timing(ctypes.Structure):
    """struct timing: what the tables say of one opcode."""

    _fields_: ClassVar = [
        ("opcode", c_uint32),
        ("cycles", c_uint8),
        ("kind", c_uint8),
        ("flags", c_uint8),
        ("it_count", c_uint8),
        ("address_registers", c_uint16),
        ("results", c_uint16),
        ("fp_operands", c_uint32),
        ("fp_results", c_uint32),
        ("access_bytes", c_uint8),
        ("base", c_uint8),
        ("index", c_uint8),
        ("index_shift", c_uint8),
        ("offset", c_uint32),
    ]


class Parameters(ctypes.Structure):
    """struct parameters: the stated timing assumptions, in cycles."""

    _fields_: ClassVar = [
        (name, c_uint32)
        for name in (
            "refill",
            "multiply_accumulate",
            "address_stall",
            "load_overlap",
            "fp_result_stall",
            "unaligned",
            "exception_entry",
            "exception_return",
        )
    ]


class Engine(ctypes.Structure):
    """struct engine: unicorn's handle and the functions of it that the core calls."""

    _fields_: ClassVar = [
        (name, c_void_p)
        for name in (
            "handle",
            "reg_read",
            "reg_write",
            "mem_read",
            "mem_write",
            "hook_add",
            "mmio_map",
            "emu_start",
            "emu_stop",
        )
    ]


class Core(ctypes.Structure):
    """struct core, field by field."""

    _fields_: ClassVar = [
        ("engine", Engine),
        ("parameters", Parameters),
        ("bus_read", BusRead),
        ("bus_write", BusWrite),
        ("cycles", c_uint64),
        ("instructions", c_uint64),
        ("deadline", c_uint64),
        ("instruction_limit", c_uint64),
        ("stop_request", c_uint32),
        ("reset_request", c_uint32),
        ("stop", c_uint32),
        ("engine_error", c_int32),
        ("trap_address", c_uint32),
        ("m4", c_uint32),
        ("lowest_sp", c_uint32),
        ("fault_address", c_uint32),
        ("fault_pc", c_uint32),
        ("faults", c_uint32),
        ("vtor", c_uint32),
        ("cpacr", c_uint32),
        ("ccr", c_uint32),
        ("scr", c_uint32),
        ("shcsr", c_uint32),
        ("cfsr", c_uint32),
        ("hfsr", c_uint32),
        ("shpr", c_uint32 * 3),
        ("demcr", c_uint32),
        ("dwt_control", c_uint32),
        ("cyccnt_base", c_uint64),
        ("cyccnt_frozen", c_uint32),
        ("external_reference_cycles", c_uint32),
        ("event", c_uint32),
        ("cpuid", c_uint32),
        ("priority_mask", c_uint32),
        ("pending", c_uint8 * EXCEPTIONS),
        ("enabled", c_uint8 * EXCEPTIONS),
        ("active", c_uint8 * EXCEPTIONS),
        ("level", c_uint8 * EXCEPTIONS),
        ("priority", c_uint8 * EXCEPTIONS),
        ("taken", c_uint64 * EXCEPTIONS),
        ("systick_control", c_uint32),
        ("systick_reload", c_uint32),
        ("systick_flag", c_uint32),
        ("systick_start", c_uint64),
        ("systick_first", c_uint32),
        ("poll_address", c_uint32),
        ("poll_value", c_uint32),
        ("poll_until", c_uint64),
        ("poll_cycle", c_uint64),
        ("poll_pc", c_uint32),
        ("poll_period", c_uint32),
        ("idle", c_uint32),
        ("decode", c_void_p),
        ("cache", c_void_p),
        ("previous", Timing),
        ("pages", c_void_p),
        ("windows", c_void_p * 8),
        ("wake", c_uint64),
        ("systick_due", c_uint64),
        ("pending_cycles", c_uint32),
        ("next_address", c_uint32),
        ("it_start", c_uint32),
        ("it_end", c_uint32),
        ("sp_changed", c_uint32),
        ("rounding", c_uint32),
        ("hook_stop", c_uint32),
        ("trap", c_uint32),
        ("memory", c_void_p),
    ]


@cache
def library() -> ctypes.CDLL:
    """The compiled core with its functions' types declared.

    Raises:
        SimulatorError: no C compiler, or the compilation failed.
    """
    folder = Path(__file__).with_name("core")
    loaded = ctypes.CDLL(str(compile_c("miniml-arm-core", sorted(folder.glob("*.c")), shared=True)))
    core = ctypes.POINTER(Core)
    signatures = {
        "core_new": (core, [ctypes.c_int]),
        "core_free": (None, [core]),
        "core_size": (c_uint32, []),
        "core_attach": (ctypes.c_int, [core]),
        "core_attach_memory": (ctypes.c_int, [core]),
        "core_memory_timing": (None, [core, ctypes.c_int, c_uint32, c_uint32, c_uint32]),
        "core_memory_stalls": (c_uint64, [core, ctypes.c_int]),
        "core_map_code": (None, [core, c_uint32, c_uint32, c_void_p]),
        "core_map_bus": (ctypes.c_int, [core, c_uint32, c_uint32]),
        "core_reset": (None, [core]),
        "core_run": (None, [core]),
        "core_register": (c_uint32, [core, ctypes.c_int]),
        "core_set_register": (None, [core, ctypes.c_int, c_uint32]),
        "polling_watch": (None, [core, c_uint32, c_uint32, c_uint64]),
        "polling_end": (None, [core]),
        "core_timing": (
            None,
            [core, c_uint32, ctypes.c_int, ctypes.POINTER(Timing)],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(loaded, name)
        function.restype = result
        function.argtypes = arguments
    if loaded.core_size() != ctypes.sizeof(Core):
        raise SimulatorError("the simulated core's C and Python parts disagree: rebuild the cache")
    return loaded
