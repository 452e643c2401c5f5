/* Into the ROM loader of an STM32F4 (AN2606): the chip is brought as near to its reset state as a
 * program can, then the loader is started by its own vectors. Addresses are RM0090's; F401, F411
 * and F446 have the same ones (RM0368, RM0383, RM0390). A running independent watchdog can't be
 * stopped and would reset the chip out of the loader. */
#include "miniml_device.h"

#if MINIML_DEVICE_HAS_LOADER && defined(STM32F4xx)

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* RM0090, 2.4: system memory, where the loader's stack pointer and entry are. */
#define SYSTEM_MEMORY UINT32_C(0x1FFF0000)
/* 7.3: reset and clock control. */
#define RCC_CR REGISTER(0x40023800)
#define RCC_CR_HSION UINT32_C(1)
#define RCC_CR_HSIRDY UINT32_C(2)
#define RCC_CR_RESET UINT32_C(0x83) /* HSI with its default trim, no HSE, no PLL */
#define RCC_PLLCFGR REGISTER(0x40023804)
#define RCC_PLLCFGR_RESET UINT32_C(0x24003010)
#define RCC_CFGR REGISTER(0x40023808)
#define RCC_CFGR_SWS UINT32_C(0xC)
#define RCC_CIR REGISTER(0x4002380C)
#define RCC_AHB1RSTR 0x40023810
#define RCC_APB2RSTR 0x40023824
#define RCC_APB2ENR REGISTER(0x40023844)
#define RCC_APB2ENR_SYSCFGEN (UINT32_C(1) << 14)
/* 3.9.1, 9.2.1 */
#define FLASH_ACR REGISTER(0x40023C00)
#define SYSCFG_MEMRMP REGISTER(0x40013800)
#define SYSCFG_MEMRMP_SYSTEM UINT32_C(1)
/* ARMv7-M ARM B3.2, B3.3, B3.4 */
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define NVIC_ICER 0xE000E180
#define NVIC_ICPR 0xE000E280
#define NVIC_WORDS 3 /* up to 91 (F405) and 97 (F446) interrupts, rounded up below */
#define SCB_ICSR REGISTER(0xE000ED04)
#define SCB_ICSR_CLEAR (UINT32_C(1) << 27 | UINT32_C(1) << 25) /* PENDSVCLR, PENDSTCLR */
#define SCB_VTOR REGISTER(0xE000ED08)

static void forget_interrupts(void) {
  SYST_CSR = 0;
  SYST_RVR = 0;
  SYST_CVR = 0;
  for (uint32_t at = 0; at <= 4 * NVIC_WORDS; at += 4) {
    REGISTER(NVIC_ICER + at) = UINT32_MAX;
    REGISTER(NVIC_ICPR + at) = UINT32_MAX;
  }
  SCB_ICSR = SCB_ICSR_CLEAR;
}

static void reset_clocks(void) {
  RCC_CR |= RCC_CR_HSION;
  while (!(RCC_CR & RCC_CR_HSIRDY)) {
  }
  RCC_CFGR = 0;
  while (RCC_CFGR & RCC_CFGR_SWS) {
  }
  RCC_CR = RCC_CR_RESET;
  RCC_PLLCFGR = RCC_PLLCFGR_RESET;
  RCC_CIR = 0;
  FLASH_ACR = 0;
}

/* Every peripheral, as ST's HAL does it (__HAL_RCC_AHB1_FORCE_RESET and its like). A USB device
 * leaves the bus by it, so that the host sees another one come. */
static void reset_peripherals(void) {
  for (uint32_t at = RCC_AHB1RSTR; at <= RCC_APB2RSTR; at += 4) {
    REGISTER(at) = UINT32_MAX;
    REGISTER(at) = 0;
  }
}

void miniml_device_boot(void) {
  __asm__ volatile("cpsid i" ::: "memory");
  forget_interrupts();
  reset_peripherals();
  reset_clocks();
  RCC_APB2ENR |= RCC_APB2ENR_SYSCFGEN;
  SYSCFG_MEMRMP = SYSCFG_MEMRMP_SYSTEM;
  SCB_VTOR = 0; /* where system memory is now */
  const uint32_t stack = REGISTER(SYSTEM_MEMORY), entry = REGISTER(SYSTEM_MEMORY + 4);
  /* The main stack, privileged, no FPU state to stack. The loader's USB needs interrupts, which a
   * reset leaves enabled. */
  __asm__ volatile("dsb \n\t"
                   "msr control, %2 \n\t"
                   "isb \n\t"
                   "msr msp, %0 \n\t"
                   "cpsie i \n\t"
                   "bx %1 \n\t" ::"r"(stack),
                   "r"(entry), "r"(0)
                   : "memory");
  __builtin_unreachable();
}

#endif
