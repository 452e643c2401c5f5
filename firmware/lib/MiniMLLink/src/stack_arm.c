/* The stack's high-water mark on a Cortex-M: from the end of the heap to the stack pointer all is
 * painted once; what has lost its paint later has been in use. */
#include "miniml_device.h"

#if defined(__arm__)

#include <stddef.h>

#define PAINT 0xC5

/* Lowest and highest address of the stack that loop() runs on; false where they aren't known. */
static bool stack_bounds(uint8_t **low, uint8_t **top);

#if defined(__MBED__)

/* The official Pico core runs loop() on a thread of its RTOS; the word at its stack's bottom is
 * RTX's own guard (cmsis_os2.h, rtx_os.h of ArduinoCore-mbed). */
#include <rtx_os.h>

static bool stack_bounds(uint8_t **low, uint8_t **top) {
  const osRtxThread_t *const thread = (const osRtxThread_t *)osThreadGetId();
  if (thread == NULL) {
    return false;
  }
  *low = (uint8_t *)thread->stack_mem + sizeof(uint32_t);
  *top = (uint8_t *)thread->stack_mem + thread->stack_size;
  return true;
}

#else

/* One stack, down from the first word of the vector table (ARMv6-M and ARMv7-M: VTOR at
 * 0xE000ED08) towards the heap, which newlib's sbrk moves up. No linker script is asked, as their
 * symbols differ. */
#define VTOR (*(volatile uint32_t *)0xE000ED08)

extern void *_sbrk(ptrdiff_t increment);

static bool stack_bounds(uint8_t **low, uint8_t **top) {
  *low = (uint8_t *)_sbrk(0);
  *top = *(uint8_t **)VTOR;
  return *low < *top;
}

#endif

static uint8_t *painted_from;
static uint8_t *painted_to;

void miniml_device_paint_stack(void) {
  uint8_t *low, *top, *sp;
  __asm__ volatile("mov %0, sp" : "=r"(sp));
  if (!stack_bounds(&low, &top) || sp <= low || sp > top) {
    return;
  }
  painted_from = low;
  painted_to = top;
  /* volatile, lest it becomes a call of memset, whose frame lies in the paint. */
  for (volatile uint8_t *byte = low; byte < sp; byte++) {
    *byte = PAINT;
  }
}

static uint16_t saturated(ptrdiff_t bytes) {
  return bytes < MINIML_NOT_PAINTED ? (uint16_t)bytes : MINIML_NOT_PAINTED - 1;
}

void miniml_device_stack(uint16_t *used, uint16_t *untouched) {
  uint8_t *low, *top;
  if (painted_from == NULL || !stack_bounds(&low, &top) || top != painted_to) {
    *used = *untouched = MINIML_NOT_PAINTED;
    return;
  }
  const uint8_t *touched = low;
  while (touched < top && *touched == PAINT) {
    touched++;
  }
  *used = saturated(top - touched);
  *untouched = saturated(touched - low);
}

#endif
