/* Cycle counter of Cortex-M3 and up: DWT_CYCCNT (ARMv7-M Architecture Reference Manual, C1.8).
 * Registers by address, since not every core brings the CMSIS headers. The counter is switched on
 * and read, never written: a profiler that uses it is not disturbed. 2^32 cycles are 25 s at
 * 168 MHz. */
#include "miniml_device.h"

#if defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__)

#include "miniml_cycles.h"
#define DEMCR (*(volatile uint32_t *)0xE000EDFC)
#define DEMCR_TRCENA (UINT32_C(1) << 24)
#define DWT_CTRL (*(volatile uint32_t *)0xE0001000)
#define DWT_CTRL_CYCCNTENA UINT32_C(1)
#define DWT_CYCCNT (*(volatile uint32_t *)0xE0001004)

/* noinline, and the same for every run: what it takes itself is in the empty run as well. */
MINIML_NOINLINE static uint32_t count(miniml_run_function run, const int8_t *in, uint8_t n_layers) {
  const uint32_t start = DWT_CYCCNT;
  run(in, n_layers);
  return DWT_CYCCNT - start;
}

uint32_t miniml_device_cycles(miniml_run_function run, const int8_t *in, uint8_t n_layers,
                              bool masked) {
  DEMCR |= DEMCR_TRCENA;
  DWT_CTRL |= DWT_CTRL_CYCCNTENA;
  uint32_t primask;
  __asm__ volatile("mrs %0, primask" : "=r"(primask));
  if (masked) {
    __asm__ volatile("cpsid i" ::: "memory");
  }
  const uint32_t empty = count(miniml_empty_run, in, n_layers);
  const uint32_t cycles = count(run, in, n_layers) - empty;
  __asm__ volatile("msr primask, %0" ::"r"(primask) : "memory");
  return cycles;
}

#endif
