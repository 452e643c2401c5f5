"""Timers, interrupts, sleep and watchdog of the simulated ATmega328P, to the cycle.

Sources: DS40002061B; the section stands at each test. Marks are one-cycle OUTs, `sts` reaches its
register in its second cycle (Instruction Set Manual, cycle tables of STS and LDS).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from sim_avr_program import compile_avr, vectors

from miniml.sim.avr.batch import BatchResult, run_batch

READ_TCNT1 = "lds {0}, TCNT1L\n lds {1}, TCNT1H\n"
HANG = "1: nop\n rjmp 1b\n"
SLED = "nop\n" * 200 + "halt\n"


def run(folder: Path, source: str, cycles: int = 500_000) -> BatchResult:
    result = run_batch(compile_avr(source, folder / "timer.elf"), cycles=cycles)
    assert result.crashed == ""
    return result


def pair(result: BatchResult, low: int) -> int:
    return result.registers[low] | result.registers[low + 1] << 8


def test_timer1_counts_every_cycle_between_two_readings(tmp_path: Path) -> None:
    """16.5, table 16-5 CS1 = 1: clkI/O without prescaling."""
    readings = READ_TCNT1.format("r20", "r21") + "nop\n" * 93 + READ_TCNT1.format("r22", "r23")
    result = run(tmp_path, "store TCCR1B, 1\n" + readings + "halt")
    assert pair(result, 22) - pair(result, 20) == 4 + 93


def test_timer1_started_and_stopped_holds_the_cycles_between(tmp_path: Path) -> None:
    """16.5: CS1 = 0 stops the counter, which keeps its value."""
    code = "ldi r24, 1\n sts TCCR1B, r24\n" + "nop\n" * 10 + "sts TCCR1B, r1\n nop\n"
    result = run(tmp_path, code + READ_TCNT1.format("r20", "r21") + "halt")
    assert pair(result, 20) == 2 + 10


def test_counter_written_while_stopped_counts_from_there(tmp_path: Path) -> None:
    """16.3: TCNT1 can be written at any time, high byte first through TEMP."""
    code = "store TCNT1H, 0x12\n store TCNT1L, 0x34\n ldi r24, 1\n sts TCCR1B, r24\n nop\n"
    result = run(tmp_path, code + READ_TCNT1.format("r20", "r21") + "halt")
    assert pair(result, 20) == 0x1234 + 2


def test_sixteen_bit_reading_is_one_moment(tmp_path: Path) -> None:
    """16.3: reading the low byte copies the high byte to TEMP."""
    code = "store TCNT1H, 0x12\n store TCNT1L, 0xfd\n ldi r24, 1\n sts TCCR1B, r24\n nop\n"
    result = run(tmp_path, code + READ_TCNT1.format("r20", "r21") + "halt")
    assert pair(result, 20) == 0x12FF  # two cycles later it is 0x1301


def test_overflow_flag_comes_with_zero(tmp_path: Path) -> None:
    """16.9.1, figure 16-12: TOV1 is set as the counter goes from MAX to BOTTOM."""
    code = "store TCNT1H, 0xff\n store TCNT1L, 0xf0\n ldi r24, 1\n sts TCCR1B, r24\n"
    # After the STS the counter is 0xfff0; each IN takes one cycle: 15 more ticks to 0xffff.
    flags = "".join(f"in r{2 + i}, TIFR1\n" for i in range(18))
    result = run(tmp_path, code + flags + "halt")
    seen = [value & 1 for value in result.registers[2:20]]
    assert seen == [0] * 16 + [1, 1]


def test_compare_flag_comes_one_tick_after_the_match(tmp_path: Path) -> None:
    """16.7, figure 16-10: OCF1A is set at the next timer clock after the match."""
    code = "store OCR1AH, 0\n store OCR1AL, 5\n out TIFR1, r31\n ldi r24, 1\n sts TCCR1B, r24\n"
    flags = "".join(f"in r{2 + i}, TIFR1\n" for i in range(9))
    result = run(tmp_path, "ldi r31, 0xff\n" + code + flags + "halt")
    seen = [value >> 1 & 1 for value in result.registers[2:11]]
    assert seen == [0] * 6 + [1] * 3


def test_flags_are_cleared_one_by_one(tmp_path: Path) -> None:
    """16.11.9: a flag is cleared by writing a logic one to its bit location."""
    code = "store OCR1AL, 5\n store OCR1BL, 6\n store TCCR1B, 1\n" + "nop\n" * 12
    code += "in r20, TIFR1\n ldi r24, 2\n out TIFR1, r24\n in r21, TIFR1\n halt"
    result = run(tmp_path, code)
    assert (result.registers[20], result.registers[21]) == (0b110, 0b100)


def isr_marks(folder: Path, number: int, setup: str, cycles: int = 500_000) -> list[int]:
    source = vectors(**{f"v{number}": "routine"}) + "routine: mark\n reti\nstart:\n" + setup
    result = run(folder, source + "\nsei\n" + HANG, cycles)
    return [mark.cycle for mark in result.marks]


def gaps(cycles: list[int]) -> list[int]:
    return [after - before for before, after in pairwise(cycles)]


# vector, registers, cycles between two interrupts, source
PERIODS = [
    (13, "store TIMSK1, 1\n store TCCR1B, 1", 65536, "16.9.1 normal mode, 2^16"),
    (11, "store OCR1AH, 3\n store OCR1AL, 0xe7\n store TIMSK1, 2\n store TCCR1B, 9", 1000,
     "16.9.2 CTC, OCR1A + 1"),
    (10, "store ICR1H, 1\n store ICR1L, 0xf3\n store TIMSK1, 0x20\n store TCCR1B, 0x19", 500,
     "16.9.2 CTC, ICR1 + 1, ICF1 at TOP"),
    (11, "store OCR1AL, 99\n store TIMSK1, 2\n store TCCR1B, 0x0a", 800, "table 16-5: clk/8"),
    (11, "store OCR1AL, 9\n store TIMSK1, 2\n store TCCR1B, 0x0b", 640, "table 16-5: clk/64"),
    (11, "store OCR1AL, 9\n store TIMSK1, 2\n store TCCR1B, 0x0c", 2560, "table 16-5: clk/256"),
    (11, "store OCR1AL, 9\n store TIMSK1, 2\n store TCCR1B, 0x0d", 10240, "table 16-5: clk/1024"),
    (13, "store TCCR1A, 1\n store TIMSK1, 1\n store TCCR1B, 0x09", 256, "16.9.3 fast PWM, 8 bit"),
    (13, "store TCCR1A, 1\n store TIMSK1, 1\n store TCCR1B, 0x01", 510,
     "16.9.4 phase correct PWM, 8 bit: 2 * 255"),
    (16, "store 0x20+TCCR0A, 3\n store TIMSK0, 1\n store 0x20+TCCR0B, 3", 16384,
     "15.7.3 fast PWM at clk/64: Arduino's millis()"),
    (14, "store 0x20+TCCR0A, 2\n store 0x20+OCR0A, 249\n store TIMSK0, 2\n store 0x20+TCCR0B, 2",
     2000, "15.7.2 CTC at clk/8"),
    (9, "store TCCR2A, 1\n store TIMSK2, 1\n store TCCR2B, 4", 32640,
     "18.7.4, table 18-9: phase correct PWM at clk/64, 510 ticks"),
    (9, "store TIMSK2, 1\n store TCCR2B, 3", 8192, "table 18-9: clk/32"),
]  # fmt: skip


@pytest.mark.parametrize("row", PERIODS, ids=[row[3] for row in PERIODS])
def test_interrupt_period(tmp_path: Path, row: tuple[int, str, int, str]) -> None:
    number, registers, period, _ = row
    cycles = isr_marks(tmp_path, number, registers)
    assert len(cycles) >= 6
    # The program's two-cycle RJMP shifts an interrupt by one cycle at most.
    assert {gap - period for gap in gaps(cycles)} <= {-1, 0, 1}
    assert abs(cycles[-1] - cycles[0] - period * (len(cycles) - 1)) <= 1


def test_interrupt_latency(tmp_path: Path) -> None:
    """7.7.1: four clock cycles, then the vector's JMP takes three."""
    source = vectors(v11="routine") + "routine: mark\n reti\nstart: ldi r24, 1\n"
    source += "store OCR1AL, 50\n store TIMSK1, 2\n sei\n ldi r24, 9\n mark\n sts TCCR1B, r24\n"
    result = run(tmp_path, source + SLED)
    # OUT 1, STS 2, then 50 ticks to the match and one to the flag, among NOPs.
    assert result.marks[1].cycle - result.marks[0].cycle == 1 + 2 + 51 + 4 + 3


def test_interrupt_waits_for_a_long_instruction(tmp_path: Path) -> None:
    """7.7.1: "this instruction is completed before the interrupt is served"."""
    source = vectors(v11="routine") + "routine: mark\n reti\nstart: ldi r24, 1\n"
    source += "store OCR1AL, 1\n store TIMSK1, 2\n sei\n ldi r24, 9\n mark\n sts TCCR1B, r24\n"
    result = run(tmp_path, source + "nop\n call 1f\n 1: nop\n halt")
    # The flag falls due after the NOP and one cycle of the CALL.
    assert result.marks[1].cycle - result.marks[0].cycle == 1 + 2 + 1 + 4 + 4 + 3


def test_return_from_an_interrupt_takes_four_cycles(tmp_path: Path) -> None:
    """7.7.1: "A return from an interrupt handling routine takes four clock cycles"."""
    source = vectors(v11="routine") + "routine: mark\n reti\nstart: ldi r24, 1\n"
    source += "store OCR1AL, 2\n store TIMSK1, 2\n sei\n ldi r24, 1\n sts TCCR1B, r24\n"
    result = run(tmp_path, source + "nop\n nop\n nop\n mark\n halt")
    assert gaps([mark.cycle for mark in result.marks]) == [1 + 4]


def test_one_instruction_runs_after_sei(tmp_path: Path) -> None:
    """7.7: "the instruction following SEI will be executed before any pending interrupts"."""
    source = vectors(v11="routine") + "routine: halt\nstart: store OCR1AL, 2\n store TIMSK1, 2\n"
    source += "store TCCR1B, 1\n" + "nop\n" * 9 + "ldi r20, 0\n sei\n inc r20\n inc r20\n halt"
    assert run(tmp_path, source).registers[20] == 1


def test_one_instruction_runs_between_two_interrupts(tmp_path: Path) -> None:
    """7.7: "it will always return to the main program and execute one more instruction"."""
    source = vectors(v11="first", v12="second") + "first: mark\n reti\nsecond: mark\n halt\n"
    source += "start: store OCR1AL, 2\n store OCR1BL, 2\n store TIMSK1, 6\n store TCCR1B, 1\n"
    result = run(tmp_path, source + "nop\n" * 9 + "ldi r20, 0\n sei\n nop\n inc r20\n inc r20\n")
    assert result.registers[20] == 1
    assert gaps([mark.cycle for mark in result.marks]) == [1 + 4 + 1 + 4 + 3]


def test_lowest_vector_goes_first_and_clears_its_flag(tmp_path: Path) -> None:
    """7.7, 12.1: lower address, higher priority; the flag is cleared by hardware."""
    source = vectors(v11="a", v13="overflow") + "a: ldi r20, 1\n in r21, TIFR1\n halt\n"
    source += "overflow: ldi r20, 2\n halt\nstart: store TCNT1H, 0xff\n store TCNT1L, 0xf0\n"
    source += "store TIMSK1, 3\n store TCCR1B, 1\n" + "nop\n" * 30 + "sei\n" + HANG
    result = run(tmp_path, source)
    assert (result.registers[20], result.registers[21] & 3) == (1, 1)


def test_flag_raised_before_its_enable_bit_is_served(tmp_path: Path) -> None:
    """16.11.8: the interrupt is executed when TOIE1 and TOV1 are set, in whatever order."""
    source = vectors(v13="routine") + "routine: mark\n halt\nstart: sei\n store TCNT1H, 0xff\n"
    source += "store TCNT1L, 0xf0\n store TCCR1B, 1\n" + "nop\n" * 30
    result = run(tmp_path, source + "ldi r24, 1\n mark\n sts TIMSK1, r24\n" + HANG)
    assert gaps([mark.cycle for mark in result.marks]) == [1 + 2 + 4 + 3]


def test_external_interrupt_flag_raised_before_its_enable_bit(tmp_path: Path) -> None:
    """13.2.3: the same for INT0, here by toggling PD2 as an output."""
    source = vectors(v1="routine") + "routine: ldi r20, 1\n halt\nstart: sei\n store EICRA, 3\n"
    source += "sbi DDRD, 2\n sbi PORTD, 2\n nop\n nop\n sbi EIMSK, 0\n nop\n nop\n halt"
    assert run(tmp_path, source).registers[20] == 1


def test_interrupt_clears_the_global_enable_bit(tmp_path: Path) -> None:
    """7.7: the I-bit is cleared by hardware on entry and set by RETI."""
    source = vectors(v11="routine") + "routine: in r20, SREG\n reti\nstart: store OCR1AL, 9\n"
    source += "store TIMSK1, 2\n store TCCR1B, 1\n sei\n" + "nop\n" * 30 + "in r21, SREG\n halt"
    result = run(tmp_path, source)
    assert (result.registers[20] & 0x80, result.registers[21] & 0x80) == (0, 0x80)


def test_waking_from_idle_adds_four_cycles(tmp_path: Path) -> None:
    """7.7.1: from sleep "the interrupt execution response time is increased by four"."""
    source = vectors(v11="routine") + "routine: mark\n halt\nstart: ldi r24, 1\n out SMCR, r24\n"
    source += "store OCR1AL, 200\n store TIMSK1, 2\n sei\n ldi r24, 9\n mark\n sts TCCR1B, r24\n"
    result = run(tmp_path, source + "sleep\n" + HANG)
    assert gaps([mark.cycle for mark in result.marks]) == [1 + 2 + 201 + 4 + 4 + 3]


def test_sleep_without_its_enable_bit_does_nothing(tmp_path: Path) -> None:
    """10.11.1: SE must be one to enter sleep when SLEEP is executed."""
    result = run(tmp_path, "ldi r24, 0\n out SMCR, r24\n mark\n sleep\n mark\n halt")
    assert gaps([mark.cycle for mark in result.marks]) == [1 + 1]


def test_watchdog_resets_and_says_so(tmp_path: Path) -> None:
    """11.8, table 11-2: 2K cycles of 128 kHz are 16 ms; 11.9.1: WDRF in MCUSR."""
    source = (
        "in r20, MCUSR\n sbrc r20, 3\n rjmp 2f\n mark\n wdr\n ldi r24, 0x18\n sts WDTCSR, r24\n"
    )
    source += "ldi r24, 8\n sts WDTCSR, r24\n" + HANG + "2: mark\n halt"
    result = run(tmp_path, source)
    assert result.resets == 2
    assert gaps([mark.cycle for mark in result.marks])[0] == pytest.approx(256_000, abs=30)


def test_stack_depth_is_the_lowest_pointer_ever(tmp_path: Path) -> None:
    """7.5: the pointer is decremented by one with PUSH and by two with CALL."""
    source = "rcall 1f\n halt\n1: push r0\n push r0\n pop r0\n pop r0\n ret"
    assert run(tmp_path, source).sp_min == 0x8FF - 4


def test_moving_the_stack_pointer_in_two_writes_counts_its_end_only(tmp_path: Path) -> None:
    """The compiler's frame: OUT SPH, then OUT SPL; 0x06f0 in between was never a stack pointer."""
    source = "ldi r24, 0x08\n out SPH, r24\n ldi r24, 0x10\n out SPL, r24\n"
    source += "ldi r24, 0x06\n out SPH, r24\n ldi r24, 0xf0\n out SPL, r24\n halt"
    assert run(tmp_path, source).sp_min == 0x6F0
