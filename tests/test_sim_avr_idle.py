"""A waiting board skips rounds of its polling loop: the same to the cycle, with less work."""

from __future__ import annotations

from pathlib import Path

import pytest
from sim_avr_program import compile_avr

from miniml.sim.avr.batch import run_batch

# An Arduino-like program: a tick interrupt, received bytes in a ring, a loop that polls both.
PROGRAM = """
#include <avr/io.h>
#include <avr/interrupt.h>
static volatile unsigned long ticks, last;
static volatile unsigned char ring[64], head, tail;
ISR(TIMER0_OVF_vect) { ticks++; }
ISR(USART_RX_vect) { ring[head] = UDR0; head = (head + 1) & 63; }
static unsigned long now(void) { unsigned char s = SREG; cli(); unsigned long t = ticks; SREG = s; return t; }
int main(void) {
  TCCR0A = 3; TCCR0B = 3; TIMSK0 = 1;
  UCSR0A = 2; UBRR0 = 16; UCSR0B = 0x98; sei();
  for (;;) {
    if (now() - last >= 7) { last += 7; GPIOR0 = last; }
    if (head != tail) {
      unsigned char c = ring[tail];
      tail = (tail + 1) & 63;
      while (!(UCSR0A & 0x20)) ;
      UDR0 = c + 1;
    }
  }
}
"""  # noqa: E501

READS_A_TIMER = """
#include <avr/io.h>
volatile unsigned sum;
int main(void) { TCCR1B = 1; for (;;) if (TCNT1 >> 8 == 0x12) GPIOR0 = ++sum; }
"""

WATCHED = """
#include <avr/io.h>
#include <avr/wdt.h>
int main(void) { wdt_enable(WDTO_15MS); GPIOR0 = 1; for (;;) wdt_reset(); }
"""

SLEEPS = """
#include <avr/io.h>
#include <avr/interrupt.h>
#include <avr/sleep.h>
volatile unsigned char n;
ISR(TIMER2_OVF_vect) { GPIOR0 = ++n; }
int main(void) { TCCR2B = 7; TIMSK2 = 1; sei(); for (;;) sleep_mode(); }
"""


@pytest.mark.parametrize(
    "program", [PROGRAM, READS_A_TIMER, WATCHED, SLEEPS], ids=["polls", "TCNT1", "wdr", "sleeps"]
)
@pytest.mark.parametrize("cycles", [3_000_000, 3_000_017])
def test_skipping_changes_nothing(tmp_path: Path, program: str, cycles: int) -> None:
    elf = compile_avr(program, tmp_path / "waits.elf")
    receive = b"Hello, world" if program is PROGRAM else b""
    plain = run_batch(elf, cycles=cycles, receive=receive, receive_at=1_000_000)
    skipped = run_batch(
        elf, cycles=cycles, receive=receive, receive_at=1_000_000, skip_waiting=True
    )
    assert plain.marks
    # Where in a multi-cycle instruction the end falls is the only freedom.
    assert abs(plain.cycles - skipped.cycles) <= 4
    assert skipped.marks == plain.marks
    assert skipped.sent == plain.sent
    assert (skipped.sp_min, skipped.resets) == (plain.sp_min, plain.resets)
    if skipped.cycles == plain.cycles:
        assert skipped == plain
