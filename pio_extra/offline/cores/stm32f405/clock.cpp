// 168 MHz from the internal oscillator, the same setting as the official core's
// variant F405RGT (SystemClock_Config): HSI 16 MHz / 8 * 168 / 2, APB1 /4, APB2 /2.
#include <stdint.h>

#include "chip.h"

extern "C" {
uint32_t SystemCoreClock = 16000000;
}

namespace {

volatile uint32_t &reg(uint32_t address) {
  return *reinterpret_cast<volatile uint32_t *>(address);
}

// RM0090, 7.3 RCC registers; 3.9.1 FLASH_ACR.
const uint32_t kRccCr = 0x40023800, kRccPllCfgr = 0x40023804, kRccCfgr = 0x40023808;
const uint32_t kFlashAcr = 0x40023C00;
const uint32_t kPllOn = 1u << 24, kPllReady = 1u << 25;
const uint32_t kSwitchPll = 2u, kSwitchedPll = 2u << 2, kSwitchedMask = 3u << 2;
// The PLL locks within 200 us (DS8626, table 36), 3,200 cycles of HSI.
const unsigned kLockPolls = 10000;

bool reached(uint32_t address, uint32_t mask, uint32_t wanted) {
  for (unsigned i = 0; i < kLockPolls; i++) {
    if ((reg(address) & mask) == wanted)
      return true;
  }
  return false;
}

} // namespace

// Without a lock the chip stays at 16 MHz and says so in SystemCoreClock: an emulator
// without the clock tree runs too.
extern "C" void chip_clock_begin(void) {
  // Reset value of PWR_CR already selects voltage scale 1 (RM0090, 5.4.1).
  reg(kRccPllCfgr) = 8u | (168u << 6) | (0u << 16) | (7u << 24);
  reg(kRccCr) |= kPllOn;
  if (!reached(kRccCr, kPllReady, kPllReady))
    return;
  // 5 wait states (table 10: 150 to 168 MHz at 2.7 to 3.6 V), prefetch, both caches.
  reg(kFlashAcr) = 5u | (1u << 8) | (1u << 9) | (1u << 10);
  reg(kRccCfgr) = (5u << 10) | (4u << 13) | kSwitchPll;
  if (reached(kRccCfgr, kSwitchedMask, kSwitchedPll))
    SystemCoreClock = 168000000;
}
