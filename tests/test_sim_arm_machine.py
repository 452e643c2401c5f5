"""The batch machine: calls, limits, determinism, exceptions, parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from sim_arm_program import assemble

from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import PARAMETERS, CoreName, Machine

CORES: list[CoreName] = ["cortex-m4", "cortex-m0plus"]

PROGRAM = """
.balign 4
sum:                        // r0 = words, r1 = count; leaves the sum in r0
  push {r4, lr}
  movs r4, #0
1: ldm r0!, {r2}
  adds r4, r2
  subs r1, #1
  bne 1b
  mov r0, r4
  pop {r4, pc}
.balign 4
forever: b forever
.balign 4
vectors:
  .word 0x20080000, start + 1, hang + 1, hard + 1
  .rept 7
  .word hang + 1
  .endr
  .word svc + 1, hang + 1, hang + 1, hang + 1, tick + 1
.balign 4
start:                      // SysTick every 1000 cycles
  ldr r0, =0xE000E010
  ldr r1, =999
  str r1, [r0, #4]
  movs r1, #0
  str r1, [r0, #8]
  movs r1, #7
  str r1, [r0]
  movs r5, #0
hang: b hang
tick:
  ldr r2, =0x20000000
  ldr r3, [r2]
  adds r3, #1
  str r3, [r2]
  bx lr
.balign 4
svc:
  mrs r4, ipsr
  bx lr
hard:
  mrs r6, ipsr
  bkpt #1
.balign 4
calls_svc:
  push {r4, lr}
  movs r0, #5
  svc #1
  mov r0, r4
  pop {r4, pc}
.balign 4
masked:                     // the tick waits for CPSIE, then comes at once
  cpsid i
  ldr r0, =0xE000ED04
  ldr r1, =1 << 26
  ldr r2, =0x20000000
  str r1, [r0]
  nop
  ldr r0, [r2]
  cpsie i
  ldr r1, [r2]
  subs r0, r1, r0
  bx lr
.balign 4
unaligned:
  ldr r0, =0x20000101
  ldr r0, [r0]
  bx lr
.balign 4
escalates:                  // SVC with interrupts masked
  cpsid i
  svc #2
  bx lr
.balign 4
waits:                      // for a flag that comes; counts nothing, so it may be skipped
  ldr r0, =0x40000000
1: ldr r1, [r0]
  cmp r1, #0
  beq 1b
  bx lr
.balign 4
wild:
  ldr r0, =0x90000000
  ldr r0, [r0]
  bx lr
.balign 4
undefined:
  udf #0
  bx lr
.balign 4
nowhere:
  ldr r0, =0x90000001
  bx r0
"""


@pytest.fixture(params=CORES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    core: CoreName = request.param
    made = Machine.bare(core)
    made.load_elf(assemble(tmp_path, core, PROGRAM))
    made.core.vtor = made.symbols["vectors"]
    return made


def test_a_call_returns_value_cycles_and_stack(machine: Machine) -> None:
    machine.write(0x2000_0000, (7).to_bytes(4, "little") * 100)
    result = machine.call(machine.symbols["sum"], 0x2000_0000, 100)
    assert result.stop == Stop.TRAP
    assert result.value == 700
    assert result.stack == 8
    assert result.instructions == 2 + 4 * 100 + 2
    refill = PARAMETERS[machine.name]["refill"]
    pop = {"cortex-m4": 1 + 2 + refill, "cortex-m0plus": 2 + 2 + refill}[machine.name]
    loop = 2 + 1 + 1 + 1
    assert result.cycles == (1 + 2) + 1 + 100 * loop + 99 * refill + 1 + pop


def test_cycles_do_not_depend_on_where_a_run_is_cut(machine: Machine) -> None:
    machine.write(0x2000_0000, bytes(400))
    whole = machine.call(machine.symbols["sum"], 0x2000_0000, 100)
    machine.set_register(0, 0x2000_0000)
    machine.set_register(1, 100)
    machine.set_register(15, machine.symbols["sum"])
    begin = machine.core.cycles
    pieces = 0
    while machine.run(cycles=1 + pieces % 7, until=0x1FFF_E000) == Stop.DEADLINE:
        pieces += 1
    assert pieces > 50
    assert machine.core.cycles - begin == whole.cycles


def test_limits_end_an_endless_loop(machine: Machine) -> None:
    result = machine.call(machine.symbols["forever"], cycles=10_000)
    assert result.stop == Stop.DEADLINE
    assert 10_000 <= result.cycles <= 10_003
    assert machine.run(instructions=17) == Stop.DEADLINE


def test_a_thousand_ticks_interrupt_exactly_on_time(machine: Machine) -> None:
    machine.reset(machine.symbols["vectors"])
    machine.write(0x2000_0000, bytes(4))
    begin = machine.core.cycles
    machine.run(cycles=1_000_500)
    elapsed = machine.core.cycles - begin
    assert int.from_bytes(machine.read(0x2000_0000, 4), "little") == (elapsed - 40) // 1000
    assert machine.core.taken[15] == 1000


def test_a_supervisor_call_enters_and_returns(machine: Machine) -> None:
    result = machine.call(machine.symbols["calls_svc"])
    assert result.value == 11
    assert result.stack == 8 + 32
    parameters = PARAMETERS[machine.name]
    assert result.cycles > parameters["exception_entry"] + parameters["exception_return"]


def test_a_masked_interrupt_waits_for_its_release(machine: Machine) -> None:
    machine.write(0x2000_0000, bytes(4))
    assert machine.call(machine.symbols["masked"]).value == 1


@pytest.mark.parametrize("name", ["wild", "undefined", "nowhere"])
def test_faults_reach_the_hard_fault_handler(machine: Machine, name: str) -> None:
    result = machine.call(machine.symbols[name])
    assert result.stop == Stop.BREAKPOINT
    assert machine.register(6) == 3
    assert machine.core.faults == 1
    if name == "wild":
        assert machine.core.fault_address == 0x9000_0000
        first = 4 if machine.name == "cortex-m4" else 2  # mov.w there, a literal here
        assert machine.core.fault_pc == machine.symbols["wild"] + first


def test_an_unaligned_load_is_a_fault_on_the_m0plus_only(machine: Machine) -> None:
    machine.write(0x2000_0101, b"\x78\x56\x34\x12")
    result = machine.call(machine.symbols["unaligned"])
    if machine.name == "cortex-m0plus":
        assert (result.stop, machine.register(6)) == (Stop.BREAKPOINT, 3)
        assert machine.core.fault_address == 0x2000_0101
    else:
        assert (result.stop, result.value) == (Stop.TRAP, 0x1234_5678)


def test_a_masked_supervisor_call_becomes_a_hard_fault(machine: Machine) -> None:
    assert machine.call(machine.symbols["escalates"]).stop == Stop.BREAKPOINT
    assert machine.register(6) == 3


def test_the_fpu_must_be_enabled_first(tmp_path: Path) -> None:
    program = PROGRAM + ".balign 4\nfloats: vadd.f32 s0, s0, s0\nbx lr\n"
    machine = Machine.bare("cortex-m4")
    machine.load_elf(assemble(tmp_path, "cortex-m4", program))
    machine.core.vtor = machine.symbols["vectors"]
    assert machine.call(machine.symbols["floats"]).stop == Stop.TRAP
    machine.core.cpacr = 0
    assert machine.call(machine.symbols["floats"]).stop == Stop.BREAKPOINT
    assert machine.core.cfsr >> 19 & 1  # NOCP


def test_a_fault_without_a_handler_locks_up(machine: Machine) -> None:
    machine.core.vtor = 0x2000_0000  # vectors of zero
    machine.write(0x2000_0000, bytes(64))
    assert machine.call(machine.symbols["wild"]).stop == Stop.LOCKUP


def test_the_refill_is_a_parameter(tmp_path: Path) -> None:
    cycles = []
    for refill in (1, 2, 3):
        machine = Machine.bare("cortex-m4", {"refill": refill})
        machine.load_elf(assemble(tmp_path, "cortex-m4", PROGRAM))
        cycles.append(machine.call(machine.symbols["sum"], 0x2000_0000, 100).cycles)
    assert [cycles[1] - cycles[0], cycles[2] - cycles[1]] == [100, 100]


def test_memory_outside_the_map_is_named() -> None:
    machine = Machine.bare("cortex-m4")
    with pytest.raises(ValueError, match="no memory at 0x30000000"):
        machine.read(0x3000_0000, 4)


class Flag:
    """A register that reads 1 from a cycle on; says so in advance, or not."""

    def __init__(self, announced: bool, at: int) -> None:
        self.machine: Machine | None = None
        self.announced, self.at, self.reads = announced, at, 0

    def read(self, address: int, size: int) -> int:
        assert self.machine is not None
        self.reads += 1
        value = int(self.machine.core.cycles >= self.at)
        if self.announced and not value:
            self.machine.watch(address, value, self.at)
        return value

    def write(self, address: int, size: int, value: int) -> None:
        raise AssertionError("nobody writes this")


@pytest.mark.parametrize("core", CORES)
def test_a_skipped_wait_ends_at_the_cycle_at_which_it_would_have_ended(
    core: CoreName, tmp_path: Path
) -> None:
    elf = assemble(tmp_path, core, PROGRAM)
    for at in (3000, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 14580):
        ends = []
        for announced in (False, True):
            flag = Flag(announced, at)
            machine = flag.machine = Machine.bare(core, bus=flag, windows=[(0x4000_0000, 0x1000)])
            machine.load_elf(elf)
            result = machine.call(machine.symbols["waits"])
            ends.append((result.stop, result.cycles))
            assert flag.reads < 20 or not announced
            machine.close()
        assert ends[0] == ends[1]
