#include "timer.h"

#include <string.h>

enum { TOV = 0, OCFA = 1, OCFB = 2, ICF = 5 }; /* bits of TIFRn and TIMSKn */
enum { GTCCR = 0x43, TSM = 0x80, PSRASY = 2, PSRSYNC = 1 };
#define NEVER UINT64_MAX

struct miniml_timer_registers {
  uint16_t tccra, tccrb, tcnt, ocra, ocrb, icr, timsk, tifr; /* low bytes; icr 0: none */
  bool wide;
  uint16_t prescales[8];
};

/* DS40002061B "Register Summary"; clock selects: tables 15-9, 16-5, 18-9. */
static const struct miniml_timer_registers registers[3] = {
    {0x44, 0x45, 0x46, 0x47, 0x48, 0, 0x6e, 0x35, false, {0, 1, 8, 64, 256, 1024, 0, 0}},
    {0x80, 0x81, 0x84, 0x88, 0x8a, 0x86, 0x6f, 0x36, true, {0, 1, 8, 64, 256, 1024, 0, 0}},
    {0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0, 0x70, 0x37, false, {0, 1, 8, 32, 64, 128, 256, 1024}}};

static uint8_t *data(const struct miniml_timer *timer) {
  return timer->core->avr->data;
}

static uint16_t compare_value(const struct miniml_timer *timer, uint16_t low) {
  return (uint16_t)(data(timer)[low] | (timer->at->wide ? data(timer)[low + 1] << 8 : 0));
}

static uint32_t period(const struct miniml_timer *timer) {
  if (timer->dual_slope)
    return timer->top ? 2u * timer->top : 1;
  return timer->top + 1u;
}

static uint64_t ticks_between(const struct miniml_timer *timer, avr_cycle_count_t to) {
  if (timer->prescale == 0 || to <= timer->base)
    return 0;
  return (to - timer->prescaler_zero) / timer->prescale -
         (timer->base - timer->prescaler_zero) / timer->prescale;
}

/* Ticks until the counter next arrives at `phase` (1 to a whole period). */
static uint64_t ticks_to_phase(const struct miniml_timer *timer, uint32_t phase) {
  if (!timer->dual_slope && timer->phase > timer->top) { /* beyond TOP: on to MAX, then 0 */
    if (phase > timer->phase && phase <= timer->max)
      return phase - timer->phase;
    return timer->max + 1u - timer->phase + (phase <= timer->top ? phase : 0);
  }
  uint32_t length = period(timer);
  uint32_t distance = (phase % length + length - timer->phase % length) % length;
  return distance ? distance : length;
}

/* A match sets its flag one timer clock later (figures 15-10, 16-12, 18-9). */
static uint64_t ticks_to_match(const struct miniml_timer *timer, uint16_t value) {
  if (timer->dual_slope) {
    if (value > timer->top)
      return NEVER;
    uint64_t up = ticks_to_phase(timer, value + 1u);
    uint64_t down = ticks_to_phase(timer, 2u * timer->top - value + 1u);
    return up < down ? up : down;
  }
  if (value <= timer->top)
    return ticks_to_phase(timer, value == timer->top ? 0 : value + 1u);
  return timer->phase > timer->top && value >= timer->phase ? value + 1u - timer->phase : NEVER;
}

static uint64_t ticks_to_flag(const struct miniml_timer *timer, int flag) {
  switch (flag) {
  case TOV:
    if (timer->dual_slope || timer->overflow_at_top || timer->top == timer->max)
      return ticks_to_phase(timer, 0);
    return timer->phase > timer->top ? timer->max + 1u - timer->phase : NEVER;
  case OCFA:
    return ticks_to_match(timer, compare_value(timer, timer->at->ocra));
  case OCFB:
    return ticks_to_match(timer, compare_value(timer, timer->at->ocrb));
  default: { /* ICF1: only as "counter reached TOP" in the modes where ICR1 is TOP */
    unsigned mode =
        (data(timer)[timer->at->tccra] & 3u) | (data(timer)[timer->at->tccrb] >> 1 & 12u);
    bool is_top = mode == 8 || mode == 10 || mode == 12 || mode == 14;
    return is_top ? ticks_to_match(timer, timer->top) : NEVER;
  }
  }
}

static const int flags[] = {TOV, OCFA, OCFB, ICF};

static int flag_count(const struct miniml_timer *timer) {
  return timer->at->icr ? 4 : 3;
}

/* Counts up to `cycle` and sets the flags that fell due. */
static void count_to(struct miniml_timer *timer, avr_cycle_count_t cycle) {
  uint64_t ticks = ticks_between(timer, cycle);
  if (ticks) {
    uint8_t raised = 0;
    for (int i = 0; i < flag_count(timer); i++)
      if (ticks_to_flag(timer, flags[i]) <= ticks)
        raised |= (uint8_t)(1u << flags[i]);
    if (!timer->dual_slope && timer->phase > timer->top) {
      uint64_t room = timer->max + 1u - timer->phase;
      timer->phase =
          (uint32_t)(ticks < room ? timer->phase + ticks : (ticks - room) % period(timer));
    } else {
      timer->phase = (uint32_t)((timer->phase + ticks) % period(timer));
    }
    data(timer)[timer->at->tifr] |= raised;
    if (raised & data(timer)[timer->at->timsk])
      miniml_core_kick(timer->core);
  }
  if (cycle > timer->base)
    timer->base = cycle;
}

static avr_cycle_count_t next_event(const struct miniml_timer *timer) {
  uint64_t soonest = NEVER;
  for (int i = 0; timer->prescale && i < flag_count(timer); i++) {
    uint8_t bit = (uint8_t)(1u << flags[i]);
    if ((data(timer)[timer->at->tifr] & bit) && !(data(timer)[timer->at->timsk] & bit))
      continue; /* already set, and only the program can clear it */
    uint64_t ticks = ticks_to_flag(timer, flags[i]);
    if (ticks < soonest)
      soonest = ticks;
  }
  if (soonest == NEVER)
    return 0;
  uint64_t first = timer->prescale - (timer->base - timer->prescaler_zero) % timer->prescale;
  return timer->base + first + (soonest - 1) * timer->prescale;
}

static avr_cycle_count_t on_event(avr_t *avr, avr_cycle_count_t when, void *parameter) {
  struct miniml_timer *timer = parameter;
  (void)when;
  count_to(timer, avr->cycle);
  return next_event(timer);
}

static void schedule(struct miniml_timer *timer) {
  avr_t *avr = timer->core->avr;
  avr_cycle_count_t when = next_event(timer);
  avr_cycle_count_t left = when > avr->cycle ? when - avr->cycle : 1;
  miniml_core_call_after(timer->core, when ? left : 0, on_event, timer);
}

static uint16_t counter(const struct miniml_timer *timer) {
  if (timer->dual_slope && timer->phase > timer->top)
    return (uint16_t)(2u * timer->top - timer->phase);
  return (uint16_t)timer->phase;
}

/* Waveform generation modes: tables 15-8, 16-4 and 18-8. */
static void configure(struct miniml_timer *timer) {
  const struct miniml_timer_registers *at = timer->at;
  uint16_t old_counter = counter(timer);
  bool was_falling = timer->dual_slope && timer->phase > timer->top;
  uint8_t a = data(timer)[at->tccra], b = data(timer)[at->tccrb];
  uint16_t ocra = compare_value(timer, at->ocra);
  timer->prescale = at->prescales[b & 7];
  timer->max = at->wide ? 0xffff : 0xff;
  timer->top = timer->max;
  timer->dual_slope = timer->overflow_at_top = false;
  if (at->wide) {
    unsigned mode = (a & 3u) | (b >> 1 & 12u);
    static const uint16_t fixed_top[4] = {0xffff, 0xff, 0x1ff, 0x3ff};
    uint16_t icr = compare_value(timer, at->icr);
    timer->dual_slope = (mode >= 1 && mode <= 3) || (mode >= 8 && mode <= 11);
    timer->overflow_at_top = (mode >= 5 && mode <= 7) || mode == 14 || mode == 15;
    if (mode < 8)
      timer->top = mode == 4 ? ocra : fixed_top[mode & 3];
    else if (mode != 13)
      timer->top = mode & 1 ? ocra : icr;
  } else {
    unsigned mode = (a & 3u) | (b >> 1 & 4u);
    timer->dual_slope = mode == 1 || mode == 5;
    timer->overflow_at_top = mode == 3 || mode == 7;
    if (mode == 2 || mode == 5 || mode == 7)
      timer->top = ocra;
  }
  timer->phase = old_counter;
  if (timer->dual_slope) {
    if (timer->phase > timer->top)
      timer->phase = timer->top;
    if (was_falling && timer->phase)
      timer->phase = 2u * timer->top - timer->phase;
  }
}

static void write_control(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_timer *timer = parameter;
  count_to(timer, miniml_core_access(timer->core) + 1);
  timer->core->side_effects++;
  avr->data[address] = value;
  configure(timer);
  schedule(timer);
}

static void write_low(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_timer *timer = parameter;
  count_to(timer, miniml_core_access(timer->core) + 1);
  timer->core->side_effects++;
  uint16_t word = (uint16_t)(value | (timer->at->wide ? timer->temp << 8 : 0));
  if (address == timer->at->tcnt) {
    bool falling = timer->dual_slope && timer->phase > timer->top;
    timer->phase = word;
    if (timer->dual_slope && word > timer->top)
      timer->phase = timer->top;
    else if (falling && word)
      timer->phase = 2u * timer->top - word;
  } else {
    avr->data[address] = value;
    if (timer->at->wide)
      avr->data[address + 1] = timer->temp;
    configure(timer);
  }
  schedule(timer);
}

static void write_high(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_timer *timer = parameter;
  (void)avr;
  (void)address;
  timer->core->side_effects++;
  timer->temp = value;
}

static uint8_t read_low(avr_t *avr, avr_io_addr_t address, void *parameter) {
  struct miniml_timer *timer = parameter;
  if (address != timer->at->tcnt) {
    timer->temp = timer->at->wide ? avr->data[address + 1] : 0; /* ICR1 goes through TEMP */
    return avr->data[address];
  }
  count_to(timer, miniml_core_access(timer->core));
  timer->core->side_effects++;
  timer->temp = (uint8_t)(counter(timer) >> 8);
  return (uint8_t)counter(timer);
}

static uint8_t read_high(avr_t *avr, avr_io_addr_t address, void *parameter) {
  (void)avr;
  (void)address;
  return ((struct miniml_timer *)parameter)->temp;
}

static uint8_t read_flags(avr_t *avr, avr_io_addr_t address, void *parameter) {
  struct miniml_timer *timer = parameter;
  count_to(timer, miniml_core_access(timer->core));
  return avr->data[address];
}

static void write_flags(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_timer *timer = parameter;
  count_to(timer, miniml_core_access(timer->core));
  timer->core->side_effects++;
  avr->data[address] &= (uint8_t)~value;
  schedule(timer);
}

static void write_enables(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_timer *timer = parameter;
  count_to(timer, miniml_core_access(timer->core));
  timer->core->side_effects++;
  avr->data[address] = value;
  miniml_core_kick(timer->core);
  schedule(timer);
}

static void write_gtccr(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_timers *timers = parameter;
  timers->timer[0].core->side_effects++;
  for (int i = 0; i < 3; i++) {
    struct miniml_timer *timer = &timers->timer[i];
    avr_cycle_count_t now = miniml_core_access(timer->core) + 1;
    if (!(value & (i == 2 ? PSRASY : PSRSYNC)))
      continue;
    count_to(timer, now);
    timer->prescaler_zero = now; /* TSM, which would hold it there, is left out */
    schedule(timer);
  }
  avr->data[address] = value & TSM ? value : 0;
}

void miniml_timers_reset(struct miniml_timers *timers) {
  for (int i = 0; i < 3; i++) {
    struct miniml_timer *timer = &timers->timer[i];
    timer->phase = 0;
    timer->base = timer->core->avr->cycle;
    timer->prescaler_zero = timer->base;
    timer->temp = 0;
    configure(timer);
    schedule(timer);
  }
}

void miniml_timers_init(struct miniml_timers *timers, struct miniml_core *core) {
  memset(timers, 0, sizeof *timers);
  for (int i = 0; i < 3; i++) {
    struct miniml_timer *timer = &timers->timer[i];
    const struct miniml_timer_registers *at = &registers[i];
    timer->core = core;
    timer->at = at;
    const uint16_t words[] = {at->tcnt, at->ocra, at->ocrb, at->icr};
    for (int w = 0; w < (at->icr ? 4 : 3); w++) {
      miniml_core_on_write(core, words[w], write_low, timer);
      if (at->wide)
        miniml_core_on_write(core, words[w] + 1, write_high, timer);
      if (words[w] == at->tcnt || words[w] == at->icr)
        miniml_core_on_read(core, words[w], read_low, timer);
      if (at->wide && (words[w] == at->tcnt || words[w] == at->icr))
        miniml_core_on_read(core, words[w] + 1, read_high, timer);
    }
    miniml_core_on_write(core, at->tccra, write_control, timer);
    miniml_core_on_write(core, at->tccrb, write_control, timer);
    miniml_core_on_read(core, at->tifr, read_flags, timer);
    miniml_core_on_write(core, at->tifr, write_flags, timer);
    miniml_core_on_write(core, at->timsk, write_enables, timer);
  }
  miniml_core_on_write(core, GTCCR, write_gtccr, timers);
  miniml_timers_reset(timers);
}
