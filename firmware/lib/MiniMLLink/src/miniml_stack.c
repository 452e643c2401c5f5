#include "miniml_stack.h"

#define MINIML_PAINT 0xC5u
/* Room for the frames of painting itself. */
#define MINIML_STACK_MARGIN 32u
/* No inference comes near it; painting all of a large SRAM would only take time. */
#define MINIML_STACK_PAINTED 16384u

#ifdef __AVR__
#include <avr/io.h>
#include <stdlib.h>
extern char __heap_start;
extern char *__brkval; /* end of the heap; 0 before the first malloc */
#define MINIML_STACK_LOW (__brkval != 0 ? __brkval : &__heap_start)
#define MINIML_STACK_TOP ((char *)(RAMEND + 1))
#else
#include <stddef.h>
extern void *_sbrk(ptrdiff_t); /* newlib's: _sbrk(0) is the end of the heap */
#ifdef __ARM_ARCH_6M__
extern char __StackTop;
#define MINIML_STACK_TOP (&__StackTop)
#else
extern char _estack;
#define MINIML_STACK_TOP (&_estack)
#endif
#define MINIML_STACK_LOW ((char *)_sbrk(0))
#endif

static unsigned char *miniml_stack_floor;

static char *miniml_stack_pointer(void) {
  return (char *)__builtin_frame_address(0);
}

void miniml_stack_paint(void) {
  char *const top = miniml_stack_pointer();
  char *low = MINIML_STACK_LOW;
  /* A thread's stack, as on the official Pico core, lies below `low` or far from the top: there
   * the linker's symbols say nothing of it, and nothing is painted. */
  if (top <= low || top > MINIML_STACK_TOP) {
    return;
  }
  if ((uint32_t)(MINIML_STACK_TOP - low) > MINIML_STACK_PAINTED) {
    low = MINIML_STACK_TOP - MINIML_STACK_PAINTED;
  }
  miniml_stack_floor = (unsigned char *)low;
  for (volatile unsigned char *p = (unsigned char *)low;
       p < (unsigned char *)top - MINIML_STACK_MARGIN; p++) {
    *p = MINIML_PAINT;
  }
}

uint32_t miniml_stack_untouched(void) {
  if (miniml_stack_floor == 0) {
    return 0xFFFFu;
  }
  const unsigned char *p = miniml_stack_floor;
  const unsigned char *const top = (unsigned char *)MINIML_STACK_TOP;
  while (p < top && *p == MINIML_PAINT) {
    p++;
  }
  return (uint32_t)(p - miniml_stack_floor);
}

uint32_t miniml_stack_used(void) {
  if (miniml_stack_floor == 0) {
    return 0xFFFFu;
  }
  return (uint32_t)((unsigned char *)MINIML_STACK_TOP - miniml_stack_floor) -
         miniml_stack_untouched();
}
