/* Clock and reset of an AVR. */
#include "miniml_device.h"

#if defined(__AVR__)

#include <avr/interrupt.h>

uint32_t miniml_device_clock(void) {
  return F_CPU;
}

/* A jump to the reset vector: a watchdog reset would lock up in the Nano's old bootloader, which
 * leaves the watchdog running. The core's init() sets the peripherals anew. */
void miniml_device_reset(void) {
  cli();
  __asm__ volatile("jmp 0");
  __builtin_unreachable();
}

#endif
