"""What flash costs on the simulated ARM cores: the ART accelerator and the XIP cache, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from sim_arm_program import assemble

from miniml.sim.arm.machine import ART_168_MHZ, XIP_125_MHZ, CoreName, FlashTiming, Machine

TIMING: dict[CoreName, FlashTiming] = {"cortex-m4": ART_168_MHZ, "cortex-m0plus": XIP_125_MHZ}


def stalls(tmp_path: Path, core: CoreName, text: str, calls: int = 1) -> list[tuple[int, int]]:
    """Cycles that fetches and data waited in each of some calls; what was gained is their sum."""
    program = assemble(tmp_path, core, text)
    ideal_machine, machine = Machine.bare(core), Machine.bare(core, flash=TIMING[core])
    entry = ideal_machine.load_elf(program)
    machine.load_elf(program)
    ideal = ideal_machine.call(entry, 0, 0).cycles
    found, before = [], (0, 0)
    for _ in range(calls):
        cycles = machine.call(entry, 0, 0).cycles
        after = machine.flash_stalls()
        found.append((after[0] - before[0], after[1] - before[1]))
        assert cycles == ideal + sum(found[-1])
        before = after
    ideal_machine.close()
    machine.close()
    return found


def test_prefetch_keeps_up_with_narrow_instructions(tmp_path: Path) -> None:
    # Eight cycles a line of 16 bytes, a read takes six: only the first line is waited for.
    assert stalls(tmp_path, "cortex-m4", ".rept 8 * 16\nmovs r0, r1\n.endr\nbx lr") == [(5, 0)]


def test_wide_instructions_outrun_the_prefetch_once(tmp_path: Path) -> None:
    # Four cycles a line: the first line 5, the second 3, since its read begins when the first has
    # ended, each other one 6 - 4 = 2.
    text = ".rept 4 * 8\nmov.w r0, r1\n.endr\nbx lr"
    first, second = stalls(tmp_path, "cortex-m4", text, calls=2)
    assert first == (5 + 3 + 7 * 2, 0)
    # What missed is in the instruction cache now.
    assert second == (0, 0)


def test_more_lines_than_the_instruction_cache_has(tmp_path: Path) -> None:
    # 80 lines in turn through 64 places, the oldest leaves: every line misses again.
    first, second = stalls(tmp_path, "cortex-m4", ".rept 4 * 80\nmov.w r0, r1\n.endr\nbx lr", 2)
    assert first == (5 + 3 + 79 * 2, 0)
    # The prefetch behind the first call's end is still under way.
    assert second == (first[0] + 3, 0)


def test_data_read_once_from_flash(tmp_path: Path) -> None:
    text = """
      adr r1, data
      movs r2, #8
    loop:
      ldmia r1!, {r4-r7}
      subs r2, #1
      bne loop
      bx lr
      .balign 16
    data:
      .space 8 * 16
    """
    (first, data), (again, data_again), _ = stalls(tmp_path, "cortex-m4", text, calls=3)
    # Eight lines, none in the cache of eight; a read may also wait for a prefetch under way.
    assert 8 * 5 <= data <= 8 * (5 + 6)
    assert first >= 5
    # All eight lines stay.
    assert (again, data_again) == (0, 0)


@pytest.mark.parametrize("kilobytes", [8, 32])
def test_the_xip_cache_holds_sixteen_kilobytes(tmp_path: Path, kilobytes: int) -> None:
    lines = kilobytes * 128
    text = f".rept 4 * {lines}\nmovs r0, r1\n.endr\nbx lr"
    first, second = stalls(tmp_path, "cortex-m0plus", text, calls=2)
    assert first == ((lines + 1) * XIP_125_MHZ.wait, 0)
    assert second == ((0, 0) if kilobytes < 16 else first)


def test_data_from_xip_waits_a_line_of_eight_bytes(tmp_path: Path) -> None:
    text = """
      ldr r1, =0x10001000
      movs r2, #16
    loop:
      ldmia r1!, {r3}
      subs r2, #1
      bne loop
      bx lr
    """
    ((_, data), second) = stalls(tmp_path, "cortex-m0plus", text, calls=2)
    # 64 bytes are eight lines, and one line for the address in the literal pool's own line.
    assert data in (8 * XIP_125_MHZ.wait, 9 * XIP_125_MHZ.wait)
    assert second == (0, 0)


def test_sram_never_waits(tmp_path: Path) -> None:
    text = """
      ldr r1, =0x20001000
      .rept 64
      ldr r2, [r1]
      .endr
      bx lr
    """
    for core in TIMING:
        ((_, data),) = stalls(tmp_path, core, text)
        # The address comes from flash; what it points to doesn't.
        assert data <= 2 * (TIMING[core].wait + 1)


def sram_stalls(tmp_path: Path, text: str) -> tuple[int, int]:
    """Cycles that code in the Cortex-M4's SRAM waits, fetched over its system bus, and data."""
    content = Machine.bare("cortex-m4")
    entry = content.load_elf(assemble(tmp_path, "cortex-m4", text))
    code = content.read(entry & ~1, 4096)
    content.close()
    machine = Machine.bare("cortex-m4", flash=ART_168_MHZ)
    machine.write(0x2000_0000, code)
    machine.call(0x2000_0000, 0x2000_8000)
    found = machine.flash_stalls()
    machine.close()
    return found


def test_a_fetch_over_the_system_bus_takes_two_cycles(tmp_path: Path) -> None:
    # The branch to it costs one more, then each word takes two cycles; BX is half of the last.
    assert sram_stalls(tmp_path, ".rept 40\nmov.w r0, r1\n.endr\nbx lr") == (1 + 40, 0)
    # Two narrow instructions are one word: they take as long as its fetch.
    assert sram_stalls(tmp_path, ".rept 80\nmovs r0, r1\n.endr\nbx lr") == (1, 0)


def test_data_goes_before_fetches_on_the_system_bus(tmp_path: Path) -> None:
    loads = ".rept 40\nldr.n r1, [r0]\n.endr\nbx lr"
    waits, data = sram_stalls(tmp_path, loads)
    # A load takes the bus in each cycle: once the three words that were fetched ahead are used up,
    # every second load waits until the next word is there.
    assert (waits, data) == (1 + 20, 0)
    # Data of the flash comes over another bus, and waits for the one line only.
    text = "movw r2, #0\nmovt r2, #0x0800\n.rept 40\nldr.n r1, [r2]\n.endr\nbx lr"
    assert sram_stalls(tmp_path, text) == (2, ART_168_MHZ.wait)
