/* The stack's high-water mark: paint what is free, look later how much paint is left. */
#ifndef MINIML_STACK_H
#define MINIML_STACK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Call once, early: paints from the end of .bss and heap to just below the stack pointer. */
void miniml_stack_paint(void);

/* Bytes from the top of the stack to the lowest byte ever touched, and the bytes below that are
 * still painted; 0xFFFF where the core keeps its stack elsewhere. */
uint32_t miniml_stack_used(void);
uint32_t miniml_stack_untouched(void);

#ifdef __cplusplus
}
#endif

#endif
