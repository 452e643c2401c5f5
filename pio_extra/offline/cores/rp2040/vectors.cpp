// Vector table and reset of the RP2040 (datasheet, 2.3.2: 26 interrupts, 32 entries).
#include <stdint.h>

#include "chip.h"

extern "C" {

extern uint32_t __StackTop;

void Reset_Handler(void) {
  chip_runtime_start();
}
void Default_Handler(void) {
  for (;;) {
  }
}

void NMI_Handler(void) __attribute__((weak, alias("Default_Handler")));
void HardFault_Handler(void) __attribute__((weak, alias("Default_Handler")));
void SVC_Handler(void) __attribute__((weak, alias("Default_Handler")));
void PendSV_Handler(void) __attribute__((weak, alias("Default_Handler")));
void SysTick_Handler(void);

struct VectorTable {
  uint32_t *stack_top;
  void (*handlers[15])(void);
  void (*interrupts[32])(void);
};

#define EIGHT                                                                                      \
  Default_Handler, Default_Handler, Default_Handler, Default_Handler, Default_Handler,             \
      Default_Handler, Default_Handler, Default_Handler

extern const VectorTable vector_table;
__attribute__((section(".vectors"), used)) const VectorTable vector_table = {
    &__StackTop,
    {Reset_Handler, NMI_Handler, HardFault_Handler, nullptr, nullptr, nullptr, nullptr, nullptr,
     nullptr, nullptr, SVC_Handler, nullptr, nullptr, PendSV_Handler, SysTick_Handler},
    {EIGHT, EIGHT, EIGHT, EIGHT},
};
}
