/* Clock and reset of a Cortex-M. */
#include "miniml_device.h"

#if defined(__arm__)

/* CMSIS keeps the clock here; the official STM32 and Pico cores and the offline kit do, too. */
extern uint32_t SystemCoreClock;

uint32_t miniml_device_clock(void) {
  return SystemCoreClock;
}

/* AIRCR with its key and SYSRESETREQ (ARMv6-M ARM B3.2.6, ARMv7-M ARM B3.2.6). */
#define AIRCR (*(volatile uint32_t *)0xE000ED0C)
#define AIRCR_RESET UINT32_C(0x05FA0004)

void miniml_device_reset(void) {
  __asm__ volatile("dsb" ::: "memory");
  AIRCR = AIRCR_RESET;
  for (;;) {
  }
}

#endif
