/* Wait states and caches of the flash, an option of a machine. */
#ifndef MINIML_SIM_ARM_MEMORY_TIMING_H
#define MINIML_SIM_ARM_MEMORY_TIMING_H

#include "core.h"

enum memory_kind { MEMORY_IDEAL, MEMORY_ART, MEMORY_XIP };

/* Count the flash at base; wait: wait states (ART), cycles of a line's fill (XIP). Caches are
 * empty afterwards. */
void core_memory_timing(struct core *core, int kind, uint32_t base, uint32_t size, uint32_t wait);

/* Cycles lost so far, by instruction fetches or by data. */
uint64_t core_memory_stalls(const struct core *core, int data);

/* Cycles that this access waits; core->memory must be there. */
uint32_t memory_stall(struct core *core, uint32_t address, uint32_t size, bool data);

#endif
