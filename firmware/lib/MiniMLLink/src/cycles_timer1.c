/* Cycle counter of AVRs with a 16-bit Timer1, such as the ATmega328P (data sheet DS40002061,
 * chapter 15).
 *
 * At prescale 1 the timer wraps after 65,536 cycles, and with interrupts off nobody counts the
 * wraps. So the run is done twice: at prescale 1024, which tells how often the fine count wraps,
 * and at prescale 1, which tells the rest. The coarse count is off by at most 1,024 cycles (the
 * prescaler runs freely), far less than the half wrap of 32,768 that would be needed to go wrong;
 * both runs take the same path, as the kernel depends on nothing but its input. Reaches 65,535 *
 * 1,024 cycles, 4.2 s at 16 MHz. No interrupt vector is taken, and the registers are restored, so
 * that Servo and TimerOne may own the timer. */
#include "miniml_device.h"

#if defined(__AVR__)

#include <avr/interrupt.h>
#include <avr/io.h>

#include "miniml_cycles.h"
#define PRESCALE_1 _BV(CS10)
#define PRESCALE_1024 (_BV(CS12) | _BV(CS10))
/* Every flag that the timer may raise meanwhile. */
#define FLAGS (_BV(ICF1) | _BV(OCF1B) | _BV(OCF1A) | _BV(TOV1))

typedef struct {
  uint16_t ticks;
  bool wrapped;
} span;

/* noinline, and the same for every run: what it takes itself is in the empty run as well. */
MINIML_NOINLINE static span count(uint8_t prescale, miniml_run_function run, const int8_t *in,
                                  uint8_t n_layers) {
  span result;
  TCCR1B = 0;
  TCNT1 = 0;
  TIFR1 = FLAGS;
  TCCR1B = prescale;
  run(in, n_layers);
  const uint8_t sreg = SREG;
  cli(); /* the two halves of TCNT1 share a latch with interrupts */
  result.ticks = TCNT1;
  SREG = sreg;
  result.wrapped = TIFR1 & _BV(TOV1);
  return result;
}

uint32_t miniml_device_cycles(miniml_run_function run, const int8_t *in, uint8_t n_layers,
                              bool masked) {
  const uint8_t sreg = SREG;
  cli();
  const uint8_t tccr1a = TCCR1A, tccr1b = TCCR1B, timsk1 = TIMSK1, flags = TIFR1;
  const uint16_t tcnt1 = TCNT1;
  TIMSK1 = 0;
  TCCR1B = 0;
  TCCR1A = 0;
  if (!masked) {
    SREG = sreg;
  }
  const uint16_t empty = count(PRESCALE_1, miniml_empty_run, in, n_layers).ticks;
  const span coarse = count(PRESCALE_1024, run, in, n_layers);
  const uint16_t fine = count(PRESCALE_1, run, in, n_layers).ticks;
  cli();
  TCCR1B = 0;
  TCNT1 = tcnt1;
  TCCR1A = tccr1a;
  TIFR1 = FLAGS & (uint8_t)~flags;
  TIMSK1 = timsk1;
  TCCR1B = tccr1b;
  SREG = sreg;
  if (coarse.wrapped) {
    return MINIML_NOT_COUNTED;
  }
  /* The multiple of 65,536 that brings the fine count nearest to the coarse one. */
  const uint32_t near = ((uint32_t)coarse.ticks << 10) + 0x8000 - fine;
  return (near & UINT32_C(0xFFFF0000)) + fine - empty;
}

#endif
