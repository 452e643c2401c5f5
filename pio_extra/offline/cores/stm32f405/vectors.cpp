// Vector table and reset of the STM32F405 (RM0090, table 61: 82 interrupts).
#include <stdint.h>

#include "chip.h"

extern "C" {

extern uint32_t _estack;

void Reset_Handler(void);
void Default_Handler(void) {
  for (;;) {
  }
}

void NMI_Handler(void) __attribute__((weak, alias("Default_Handler")));
void HardFault_Handler(void) __attribute__((weak, alias("Default_Handler")));
void MemManage_Handler(void) __attribute__((weak, alias("Default_Handler")));
void BusFault_Handler(void) __attribute__((weak, alias("Default_Handler")));
void UsageFault_Handler(void) __attribute__((weak, alias("Default_Handler")));
void SVC_Handler(void) __attribute__((weak, alias("Default_Handler")));
void DebugMon_Handler(void) __attribute__((weak, alias("Default_Handler")));
void PendSV_Handler(void) __attribute__((weak, alias("Default_Handler")));
void SysTick_Handler(void);

void Reset_Handler(void) {
  // FPU access for full and user mode, before any float (PM0214, 4.6.1 CPACR).
  *reinterpret_cast<volatile uint32_t *>(0xE000ED88u) |= 0xFu << 20;
  __asm volatile("dsb\n\tisb");
  chip_runtime_start();
}

struct VectorTable {
  uint32_t *stack_top;
  void (*handlers[15])(void);
  void (*interrupts[82])(void);
};

#define EIGHT                                                                                      \
  Default_Handler, Default_Handler, Default_Handler, Default_Handler, Default_Handler,             \
      Default_Handler, Default_Handler, Default_Handler

extern const VectorTable g_pfnVectors;
__attribute__((section(".isr_vector"), used)) const VectorTable g_pfnVectors = {
    &_estack,
    {Reset_Handler, NMI_Handler, HardFault_Handler, MemManage_Handler, BusFault_Handler,
     UsageFault_Handler, nullptr, nullptr, nullptr, nullptr, SVC_Handler, DebugMon_Handler, nullptr,
     PendSV_Handler, SysTick_Handler},
    {EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, Default_Handler,
     Default_Handler},
};
}
