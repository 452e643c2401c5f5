#include "idle.h"

#include <string.h>

#define MEMORY_BYTES 0x900 /* registers, I/O and SRAM */
#define ROUND_STEPS 600    /* instructions a polling loop may have */
#define RETRY_CYCLES 16000 /* after a program that does not wait: 1 ms */
#define EVENTS_MAX MAX_CYCLE_TIMERS

struct snapshot {
  uint8_t memory[MEMORY_BYTES], sreg[8];
  avr_flashaddr_t pc;
  avr_cycle_count_t cycle, events[EVENTS_MAX];
  int event_count;
  uint32_t side_effects;
};

static int list_events(const avr_t *avr, avr_cycle_count_t *events) {
  int count = 0;
  for (const avr_cycle_timer_slot_t *slot = avr->cycle_timers.timer; slot; slot = slot->next)
    events[count++] = slot->when;
  return count;
}

static void take(struct snapshot *snapshot, const struct miniml_core *core) {
  const avr_t *avr = core->avr;
  memcpy(snapshot->memory, avr->data, MEMORY_BYTES);
  memcpy(snapshot->sreg, avr->sreg, sizeof snapshot->sreg);
  snapshot->pc = avr->pc;
  snapshot->cycle = avr->cycle;
  snapshot->event_count = list_events(avr, snapshot->events);
  snapshot->side_effects = core->side_effects;
}

static bool is_same(const struct snapshot *snapshot, const struct miniml_core *core) {
  const avr_t *avr = core->avr;
  avr_cycle_count_t events[EVENTS_MAX];
  return memcmp(snapshot->memory, avr->data, MEMORY_BYTES) == 0 &&
         memcmp(snapshot->sreg, avr->sreg, sizeof snapshot->sreg) == 0 &&
         list_events(avr, events) == snapshot->event_count &&
         memcmp(events, snapshot->events, (size_t)snapshot->event_count * sizeof events[0]) == 0;
}

static bool is_steady(const struct miniml_core *core) {
  return core->avr->state == cpu_Running && core->avr->interrupt_state == 0;
}

/* Finds a round and skips as many as fit before the next event or `cycle`. Snapshots are renewed
 * after 16, 32, 64, ... instructions (Brent's cycle finding): the first one may lie in an interrupt
 * routine, and what such a routine left below the stack has to be overwritten first. */
static bool skip_rounds(struct miniml_core *core, avr_cycle_count_t end) {
  static struct snapshot start;
  avr_t *avr = core->avr;
  take(&start, core);
  for (int step = 1, renewal = 16; step <= ROUND_STEPS && avr->cycle < end; step++) {
    miniml_core_run(core, avr->cycle + 1);
    if (core->was_reset || core->side_effects != start.side_effects)
      return false;
    if (!is_steady(core) || avr->cycle >= end)
      continue;
    bool came_back = avr->pc == start.pc;
    if (came_back && is_same(&start, core)) {
      avr_cycle_count_t round = avr->cycle - start.cycle;
      avr->cycle += (end - avr->cycle) / round * round;
      return true;
    }
    if (came_back || step >= renewal) {
      take(&start, core);
      renewal = step >= renewal ? 2 * renewal : renewal;
    }
  }
  return false;
}

bool miniml_idle_run(struct miniml_core *core, avr_cycle_count_t cycle) {
  avr_t *avr = core->avr;
  bool waiting = false;
  while (avr->cycle < cycle && !core->was_reset) {
    if (avr->state == cpu_Sleeping) { /* the core itself jumps from event to event */
      miniml_core_run(core, cycle);
      waiting = avr->state == cpu_Sleeping;
      continue;
    }
    avr_cycle_count_t end = cycle;
    if (avr->cycle_timers.timer && avr->cycle_timers.timer->when < end)
      end = avr->cycle_timers.timer->when;
    if (!is_steady(core) || end < avr->cycle + ROUND_STEPS) {
      /* An interrupt's entry may have taken the clock past the event. */
      bool ahead = end >= avr->cycle && end < cycle;
      miniml_core_run(core, is_steady(core) && ahead ? end + 1 : avr->cycle + 1);
      continue;
    }
    waiting = skip_rounds(core, end);
    if (!waiting && avr->cycle < cycle)
      miniml_core_run(core, avr->cycle + RETRY_CYCLES < cycle ? avr->cycle + RETRY_CYCLES : cycle);
  }
  return waiting;
}
