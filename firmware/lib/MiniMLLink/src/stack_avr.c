/* The stack's high-water mark on an AVR: all of the free SRAM is painted before main, where
 * nothing but the reset has run. */
#include "miniml_device.h"

#if defined(__AVR__)

#include <avr/io.h>

#define PAINT 0xC5

/* End of .bss, from the linker script of avr-libc; where the heap begins. */
extern uint8_t __heap_start;
/* End of the heap once malloc was called; weak, as a firmware without malloc doesn't have it. */
extern uint8_t *__brkval __attribute__((weak));

/* .init3 runs with the stack pointer set and r1 cleared (.init2), before .data and .bss, which
 * lie below, are filled (.init4). Naked and inline: code falls through it. */
__attribute__((naked, used, section(".init3"))) void miniml_paint_before_main(void) {
  __asm__ volatile("ldi r30, lo8(__heap_start) \n\t"
                   "ldi r31, hi8(__heap_start) \n\t"
                   "ldi r24, %0 \n\t"
                   "ldi r25, hi8(%1) \n"
                   "1: st Z+, r24 \n\t"
                   "cpi r30, lo8(%1) \n\t"
                   "cpc r31, r25 \n\t"
                   "brne 1b \n\t"
                   :
                   : "M"(PAINT), "i"(RAMEND + 1));
}

void miniml_device_paint_stack(void) {
}

void miniml_device_stack(uint16_t *used, uint16_t *untouched) {
  const uint8_t *low = &__heap_start;
  if (&__brkval && __brkval) {
    low = __brkval;
  }
  const uint8_t *touched = low;
  while (touched <= (const uint8_t *)RAMEND && *touched == PAINT) {
    touched++;
  }
  *used = (uint16_t)(RAMEND + 1 - (uint16_t)touched);
  *untouched = (uint16_t)(touched - low);
}

#endif
