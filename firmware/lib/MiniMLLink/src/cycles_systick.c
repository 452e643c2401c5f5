/* Cycle counter of Cortex-M0 and M0+, which have no other: SysTick (ARMv6-M Architecture Reference
 * Manual, B3.3), borrowed from the core's clock. It counts 24 bits down, 134 ms at 125 MHz.
 *
 * The tick of the core, or of its RTOS, does not come meanwhile; millis() of a core that counts
 * ticks falls behind by as much. The period that was under way goes on where it stopped, or, if its
 * rest was shorter than LEAST_REST cycles, there. */
#include "miniml_device.h"

#if defined(__ARM_ARCH_6M__)

#include "miniml_cycles.h"
#define SYST_CSR (*(volatile uint32_t *)0xE000E010)
#define SYST_CSR_ENABLE UINT32_C(1)
#define SYST_CSR_TICKINT UINT32_C(2)
#define SYST_CSR_CLKSOURCE UINT32_C(4)
#define SYST_CSR_COUNTFLAG (UINT32_C(1) << 16)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018)
#define TOP UINT32_C(0xFFFFFF)
/* A shorter rest of a period would be over, and over again, before its length is set back. */
#define LEAST_REST UINT32_C(64)

/* noinline, and the same for every run: what it takes itself is in the empty run as well. */
MINIML_NOINLINE static uint32_t count(miniml_run_function run, const int8_t *in, uint8_t n_layers) {
  SYST_CVR = 0; /* a write clears it and COUNTFLAG; it reloads with the next cycle */
  const uint32_t start = SYST_CVR;
  run(in, n_layers);
  const uint32_t end = SYST_CVR;
  if (SYST_CSR & SYST_CSR_COUNTFLAG) {
    return MINIML_NOT_COUNTED;
  }
  return (start - end) & TOP;
}

uint32_t miniml_device_cycles(miniml_run_function run, const int8_t *in, uint8_t n_layers,
                              bool masked) {
  uint32_t primask;
  __asm__ volatile("mrs %0, primask" : "=r"(primask));
  __asm__ volatile("cpsid i" ::: "memory");
  const uint32_t csr = SYST_CSR & (SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CLKSOURCE);
  const uint32_t rvr = SYST_RVR, cvr = SYST_CVR;
  SYST_CSR = 0;
  SYST_RVR = TOP;
  SYST_CVR = 0;
  SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_CLKSOURCE;
  if (!masked) {
    __asm__ volatile("msr primask, %0" ::"r"(primask) : "memory");
  }
  const uint32_t empty = count(miniml_empty_run, in, n_layers);
  const uint32_t full = count(run, in, n_layers);
  __asm__ volatile("cpsid i" ::: "memory");
  SYST_CSR = 0;
  /* CVR can't be written but to clear it: the rest of the period is its first reload value. */
  SYST_RVR = cvr == 0 ? rvr : cvr < LEAST_REST ? LEAST_REST : cvr;
  SYST_CVR = 0;
  SYST_CSR = csr;
  while ((csr & SYST_CSR_ENABLE) && SYST_CVR == 0) {
  }
  SYST_RVR = rvr;
  __asm__ volatile("msr primask, %0" ::"r"(primask) : "memory");
  return full == MINIML_NOT_COUNTED ? full : full - empty;
}

#endif
