/* Cycle counters of the Cortex-M: DWT where there is one, else SysTick. Registers by address
 * (ARMv7-M ARM, C1.8 DWT, C1.6.5 DEMCR; ARMv6-M ARM, B3.3 SysTick), since not every core
 * brings CMSIS headers. */
#ifdef __arm__

#include "miniml_cycles.h"

#define MINIML_REGISTER(address) (*(volatile uint32_t *)(address))

static void miniml_cycles_nothing(void) {
  __asm__ volatile("");
}

static uint32_t miniml_cycles_mask(void) {
  uint32_t primask;
  __asm__ volatile("mrs %0, primask" : "=r"(primask));
  __asm__ volatile("cpsid i" ::: "memory");
  return primask;
}

static void miniml_cycles_unmask(uint32_t primask) {
  __asm__ volatile("msr primask, %0" ::"r"(primask) : "memory");
}

#ifdef __ARM_ARCH_6M__

#define MINIML_SYST_CSR MINIML_REGISTER(0xE000E010u)
#define MINIML_SYST_RVR MINIML_REGISTER(0xE000E014u)
#define MINIML_SYST_CVR MINIML_REGISTER(0xE000E018u)
#define MINIML_SYST_ENABLE 0x5u /* processor clock, no interrupt */
#define MINIML_SYST_COUNTFLAG 0x10000u
#define MINIML_SYST_TOP 0xFFFFFFu

__attribute__((noinline)) static uint32_t miniml_cycles_raw(void (*run)(void)) {
  MINIML_SYST_CVR = 0; /* any write clears it and COUNTFLAG; it reloads on the next cycle */
  const uint32_t start = MINIML_SYST_CVR;
  run();
  const uint32_t end = MINIML_SYST_CVR;
  /* Bit 16 tells that it passed zero: over 2^24 cycles (134 ms at 125 MHz). */
  if (MINIML_SYST_CSR & MINIML_SYST_COUNTFLAG) {
    return 0xFFFFFFFFu;
  }
  return (start == 0 ? MINIML_SYST_TOP : start) - end;
}

/* The SysTick is borrowed from the core's clock, so interrupts are masked in either case. */
uint32_t miniml_cycles(void (*run)(void), bool masked) {
  if (!masked) {
    return 0xFFFFFFFFu;
  }
  const uint32_t primask = miniml_cycles_mask();
  const uint32_t csr = MINIML_SYST_CSR & 0x7u, rvr = MINIML_SYST_RVR, cvr = MINIML_SYST_CVR;
  MINIML_SYST_CSR = 0;
  MINIML_SYST_RVR = MINIML_SYST_TOP;
  MINIML_SYST_CVR = 0;
  MINIML_SYST_CSR = MINIML_SYST_ENABLE;
  const uint32_t empty = miniml_cycles_raw(miniml_cycles_nothing);
  const uint32_t full = miniml_cycles_raw(run);
  MINIML_SYST_CSR = 0;
  /* The counter can't be written; going on from what was left of the tick is the nearest. */
  if (cvr != 0) {
    MINIML_SYST_RVR = cvr;
    MINIML_SYST_CVR = 0;
    MINIML_SYST_CSR = csr;
  }
  MINIML_SYST_RVR = rvr;
  MINIML_SYST_CSR = csr;
  miniml_cycles_unmask(primask);
  return full == 0xFFFFFFFFu ? full : full - empty;
}

#else

#define MINIML_DEMCR MINIML_REGISTER(0xE000EDFCu)
#define MINIML_DEMCR_TRCENA (1u << 24)
#define MINIML_DWT_CTRL MINIML_REGISTER(0xE0001000u)
#define MINIML_DWT_CYCCNT MINIML_REGISTER(0xE0001004u)

__attribute__((noinline)) static uint32_t miniml_cycles_raw(void (*run)(void)) {
  const uint32_t start = MINIML_DWT_CYCCNT;
  run();
  return MINIML_DWT_CYCCNT - start;
}

/* CYCCNT is only read and switched on: a debugger or a profiler that uses it is not disturbed. */
uint32_t miniml_cycles(void (*run)(void), bool masked) {
  MINIML_DEMCR |= MINIML_DEMCR_TRCENA;
  MINIML_DWT_CTRL |= 1u;
  const uint32_t primask = masked ? miniml_cycles_mask() : 0;
  const uint32_t empty = miniml_cycles_raw(miniml_cycles_nothing);
  const uint32_t full = miniml_cycles_raw(run);
  if (masked) {
    miniml_cycles_unmask(primask);
  }
  return full - empty;
}

#endif
#endif
