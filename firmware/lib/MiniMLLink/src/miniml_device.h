/* What the link asks of the chip: cycles_*.c, stack_*.c and device_*.c, of which the compiler's
 * macros pick one each. A host test brings its own. */
#ifndef MINIML_DEVICE_H
#define MINIML_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Longer than the counter reaches, or this core has none. */
#define MINIML_NOT_COUNTED UINT32_C(0xFFFFFFFF)
/* This core can't tell. */
#define MINIML_NOT_PAINTED UINT16_C(0xFFFF)

/* 1 where a program can start the chip's boot loader: boot_*.c. */
#if defined(STM32F4xx) || defined(ARDUINO_ARCH_RP2040)
#define MINIML_DEVICE_HAS_LOADER 1
#else
#define MINIML_DEVICE_HAS_LOADER 0
#endif

typedef const int8_t *(*miniml_run_function)(const int8_t *in, uint8_t n_layers);

/* Cycles of run(in, n_layers), those of an empty function subtracted. masked: with interrupts
 * off. May run it more than once; the counter's registers are as before afterwards. */
uint32_t miniml_device_cycles(miniml_run_function run, const int8_t *in, uint8_t n_layers,
                              bool masked);

/* Core clock in Hz, read at run time where the core can tell. */
uint32_t miniml_device_clock(void);

/* Fills the unused stack with a pattern, once and early. An AVR has done it before main. */
void miniml_device_paint_stack(void);

/* Bytes of the stack ever used, and bytes between it and the heap never touched, since the paint;
 * each at most 0xFFFE, or both MINIML_NOT_PAINTED. */
void miniml_device_stack(uint16_t *used, uint16_t *untouched);

/* Starts the firmware anew; does not return. */
void miniml_device_reset(void);

/* Starts the boot loader in the chip's ROM; does not return. Only with MINIML_DEVICE_HAS_LOADER. */
void miniml_device_boot(void);

#ifdef __cplusplus
}
#endif

#endif
