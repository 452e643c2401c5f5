/* Loops that wait for a serial flag. Python's UART says what its status register reads and
 * until which cycle that holds; such reads are answered here, and once the loop is seen
 * to repeat, whole periods of it are skipped: it ends at the very cycle at which it would
 * have ended. */
#include "core.h"

/* A loop that polls less often does other work in between: leave it alone. */
#define LONGEST_PERIOD 2000

static void forget(struct core *core) {
  core->poll_pc = 0;
  core->poll_period = 0;
}

void polling_watch(struct core *core, uint32_t address, uint32_t value, uint64_t until) {
  core->poll_address = address;
  core->poll_value = value;
  core->poll_until = until;
  forget(core);
}

void polling_end(struct core *core) {
  core->poll_until = 0;
  core->idle = 0;
  forget(core);
}

static void skip(struct core *core) {
  uint64_t until = core->wake < core->poll_until ? core->wake : core->poll_until;
  if (until > core->cycles)
    core->cycles += (until - core->cycles) / core->poll_period * core->poll_period;
}

/* The loop is known by the place of one of its reads and the time between two of them. */
static void learn(struct core *core) {
  uint32_t pc = core_register(core, 15);
  uint64_t period = core->cycles - core->poll_cycle;
  if (core->poll_pc && pc != core->poll_pc && period < LONGEST_PERIOD)
    return;
  bool steady = pc == core->poll_pc && period == core->poll_period;
  core->poll_pc = pc;
  core->poll_cycle = core->cycles;
  core->poll_period = (uint32_t)(period <= LONGEST_PERIOD ? period : 0);
  if (!steady || !core->poll_period)
    return;
  if (core->poll_until == NO_CYCLE && !core->idle) {
    core->idle = 1; /* nothing can change before the host sends: let it be waited for */
    core->stop_request = 1;
    core->wake = 0;
    return;
  }
  skip(core);
  core->poll_cycle = core->cycles;
}

bool polling_read(struct core *core, uint32_t address, uint32_t *value) {
  if (address != core->poll_address || core->cycles >= core->poll_until)
    return false;
  learn(core);
  if (core->cycles >= core->poll_until)
    return false;
  *value = core->poll_value;
  return true;
}
