/* Timer/Counters 0, 1 and 2 of the ATmega328P (DS40002061B chapters 15 to 18), exact to the cycle.
 *
 * Counting is a formula, not a loop: a phase at a base cycle. What no pin can show here (PWM and
 * compare outputs, input capture, external clocks, Timer2's crystal) is left out, and an OCR takes
 * effect at once in the PWM modes too.
 */
#ifndef MINIML_TIMER_H
#define MINIML_TIMER_H

#include "core.h"

struct miniml_timer {
  struct miniml_core *core;
  const struct miniml_timer_registers *at;
  uint16_t prescale; /* CPU cycles a tick; 0: stopped */
  uint16_t max;      /* 0xff or 0xffff */
  uint16_t top;
  bool dual_slope;
  bool overflow_at_top;   /* fast PWM: TOV at TOP; else at MAX */
  uint32_t phase;         /* ticks since BOTTOM, at `base` */
  avr_cycle_count_t base; /* the cycle `phase` belongs to */
  avr_cycle_count_t prescaler_zero;
  uint8_t temp; /* TEMP, the other half of a 16-bit access */
};

struct miniml_timers {
  struct miniml_timer timer[3];
};

void miniml_timers_init(struct miniml_timers *timers, struct miniml_core *core);
void miniml_timers_reset(struct miniml_timers *timers);

#endif
