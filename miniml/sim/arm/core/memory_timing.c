/* What memory costs on top of zero wait states, where a machine is asked to count it: the ART
 * accelerator of the STM32F4 (RM0090, 3.5.2), code that comes over the Cortex-M4's system bus, and
 * the XIP cache of the RP2040 (RP2040 datasheet, 2.6.3). Assumptions and what was left out are in
 * docs/SIMULATOR_ARM.md. */
#include "memory_timing.h"

#include <stdlib.h>

#define ART_LINE_SHIFT 4 /* 128 bits */
#define ART_INSTRUCTION_LINES 64
#define ART_DATA_LINES 8
#define XIP_LINE_SHIFT 3 /* 8 bytes */
#define XIP_SETS 1024    /* 16 KB in two ways */
#define NO_LINE UINT32_MAX
/* SRAM and peripherals; below, fetches have a bus of their own, above lies the core's own space */
#define SYSTEM_BUS 0x20000000
#define SYSTEM_BUS_END 0xE0000000
#define FETCH_BUFFER 3 /* words that the core fetches ahead */

struct line {
  uint32_t number;
  uint64_t used;
};

struct memory_timing {
  enum memory_kind kind;
  uint32_t base, size;
  uint32_t wait;
  uint64_t stalls[2];
  uint64_t uses;
  /* ART: the line that is being executed, the one behind it, and when the flash is free again */
  uint32_t current, prefetched;
  uint64_t prefetch_ready, flash_free;
  struct line instructions[ART_INSTRUCTION_LINES];
  struct line data[ART_DATA_LINES];
  /* System bus: the word that is being executed, how many behind it are there already, and the
   * first cycle in which the next one can be asked for */
  uint32_t word, ahead;
  uint64_t bus_free;
  struct line xip[XIP_SETS][2];
};

static void forget(struct line *lines, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    lines[i].number = NO_LINE;
    lines[i].used = 0;
  }
}

void core_memory_timing(struct core *core, int kind, uint32_t base, uint32_t size, uint32_t wait) {
  free(core->memory);
  core->memory = NULL;
  if (kind == MEMORY_IDEAL)
    return;
  struct memory_timing *memory = calloc(1, sizeof *memory);
  memory->kind = (enum memory_kind)kind;
  memory->base = base;
  memory->size = size;
  memory->wait = wait;
  memory->current = memory->prefetched = memory->word = NO_LINE;
  forget(memory->instructions, ART_INSTRUCTION_LINES);
  forget(memory->data, ART_DATA_LINES);
  forget(memory->xip[0], 2 * XIP_SETS);
  core->memory = memory;
}

uint64_t core_memory_stalls(const struct core *core, int data) {
  return core->memory ? core->memory->stalls[data != 0] : 0;
}

/* Whether a line is there; if not, the one that was used longest ago makes room for it. */
static bool look_up(struct memory_timing *memory, struct line *lines, unsigned count,
                    uint32_t number) {
  struct line *oldest = lines;
  for (unsigned i = 0; i < count; i++) {
    if (lines[i].number == number) {
      lines[i].used = ++memory->uses;
      return true;
    }
    if (lines[i].used < oldest->used)
      oldest = &lines[i];
  }
  oldest->number = number;
  oldest->used = ++memory->uses;
  return false;
}

static bool holds(const struct line *lines, unsigned count, uint32_t number) {
  for (unsigned i = 0; i < count; i++) {
    if (lines[i].number == number)
      return true;
  }
  return false;
}

/* One read of the flash: it waits for the one under way, and takes 1 + wait cycles, the first of
 * which is in the instruction's own count. */
static uint64_t read_flash(struct memory_timing *memory, uint64_t now) {
  const uint64_t start = memory->flash_free > now ? memory->flash_free : now;
  memory->flash_free = start + memory->wait + 1;
  return start - now + memory->wait;
}

static uint64_t art_fetch(struct memory_timing *memory, uint32_t line, uint64_t now) {
  uint64_t stall = 0;
  if (line == memory->current)
    return 0;
  if (line == memory->prefetched) {
    /* Lines that missed are kept in the instruction cache; one whose prefetch is not done in time
     * counts as missed (our reading: the manual leaves it open). */
    stall = memory->prefetch_ready > now ? memory->prefetch_ready - now : 0;
    if (stall)
      look_up(memory, memory->instructions, ART_INSTRUCTION_LINES, line);
  } else if (!look_up(memory, memory->instructions, ART_INSTRUCTION_LINES, line)) {
    stall = read_flash(memory, now);
  }
  memory->current = line;
  memory->prefetched = line + 1;
  memory->prefetch_ready = now + stall;
  if (!holds(memory->instructions, ART_INSTRUCTION_LINES, line + 1)) {
    read_flash(memory, now + stall);
    memory->prefetch_ready = memory->flash_free;
  }
  return stall;
}

/* Fetches of the Cortex-M4 over the system bus take two cycles each and can't follow each other
 * directly (Arm 100166, "Pipelined instruction fetches"); what has been asked for in earlier
 * cycles than `now` is there. */
static void fetch_ahead(struct memory_timing *memory, uint64_t now) {
  while (memory->ahead < FETCH_BUFFER && memory->bus_free < now) {
    memory->ahead++;
    memory->bus_free += 2;
  }
}

static uint64_t bus_fetch(struct memory_timing *memory, uint32_t word, uint64_t now) {
  if (word == memory->word)
    return 0;
  bool follows = word == memory->word + 1;
  memory->word = word;
  fetch_ahead(memory, now);
  if (!follows) {
    memory->ahead = 0;
    memory->bus_free = now;
  } else if (memory->ahead) {
    if (memory->ahead == FETCH_BUFFER && memory->bus_free < now)
      memory->bus_free = now; /* there was no room */
    memory->ahead--;
    return 0;
  }
  const uint64_t stall = memory->bus_free + 1 - now;
  memory->bus_free += 2;
  return stall;
}

/* Data goes first: no fetch is asked for in this cycle. */
static void bus_access(struct memory_timing *memory, uint64_t now) {
  fetch_ahead(memory, now);
  if (memory->bus_free <= now)
    memory->bus_free = now + 1;
}

static uint64_t system_bus(struct memory_timing *memory, uint32_t address, uint32_t size, bool data,
                           uint64_t now) {
  if (data) {
    bus_access(memory, now);
    return 0;
  }
  uint64_t stall = 0;
  for (uint32_t word = address >> 2; word <= (address + size - 1) >> 2; word++)
    stall += bus_fetch(memory, word, now + stall);
  return stall;
}

static uint64_t access_line(struct memory_timing *memory, uint32_t address, bool data,
                            uint64_t now) {
  if (memory->kind == MEMORY_XIP) {
    const uint32_t line = address >> XIP_LINE_SHIFT;
    return look_up(memory, memory->xip[line % XIP_SETS], 2, line) ? 0 : memory->wait;
  }
  const uint32_t line = address >> ART_LINE_SHIFT;
  if (!data)
    return art_fetch(memory, line, now);
  return look_up(memory, memory->data, ART_DATA_LINES, line) ? 0 : read_flash(memory, now);
}

uint32_t memory_stall(struct core *core, uint32_t address, uint32_t size, bool data) {
  struct memory_timing *memory = core->memory;
  const uint64_t now = core->cycles + core->pending_cycles;
  if (memory->kind == MEMORY_ART && address >= SYSTEM_BUS && address < SYSTEM_BUS_END) {
    const uint64_t wait = system_bus(memory, address, size, data, now);
    memory->stalls[data] += wait;
    return (uint32_t)wait;
  }
  if (address - memory->base >= memory->size)
    return 0;
  const uint32_t shift = memory->kind == MEMORY_XIP ? XIP_LINE_SHIFT : ART_LINE_SHIFT;
  uint64_t stall = access_line(memory, address, data, now);
  const uint32_t last = address + size - 1;
  if (last >> shift != address >> shift)
    stall += access_line(memory, last, data, now + stall);
  memory->stalls[data] += stall;
  return (uint32_t)stall;
}
