// RP2040 register access shared by clock and UART (datasheet 2.1.2 and 2.14.3).
#ifndef MINIML_KIT_RP2040_REGISTERS_H
#define MINIML_KIT_RP2040_REGISTERS_H

#include <stdint.h>

#include "chip.h"

const uint32_t kAliasClear = 0x3000;

const uint32_t kResetIoBank0 = 1u << 5;
const uint32_t kResetPadsBank0 = 1u << 8;
const uint32_t kResetPllSys = 1u << 12;
const uint32_t kResetUart0 = 1u << 22;

inline volatile uint32_t &rp2040_reg(uint32_t address) {
  return *reinterpret_cast<volatile uint32_t *>(address);
}

inline void rp2040_unreset(uint32_t blocks) {
  rp2040_reg(0x4000C000 + kAliasClear) = blocks;
  while ((rp2040_reg(0x4000C008) & blocks) != blocks) {
  }
}

#endif
