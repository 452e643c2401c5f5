/* Cycles of one call, by the core's own counter. */
#ifndef MINIML_CYCLES_H
#define MINIML_CYCLES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Cycles of run(), the cost of calling an empty function subtracted; 0xFFFFFFFF where there is
 * no counter, or it ran over. masked: no interrupt is served meanwhile (millis() then loses
 * what passed). The counter's registers are restored. */
uint32_t miniml_cycles(void (*run)(void), bool masked);

#ifdef __cplusplus
}
#endif

#endif
