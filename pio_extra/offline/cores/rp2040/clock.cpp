// 125 MHz from the Pico's 12 MHz crystal, the rate at which the official core runs
// (its board file says 133): 12 MHz * 125 / 6 / 2.
#include <stdint.h>

#include "registers.h"

extern "C" {
uint32_t SystemCoreClock = 12000000;
}

extern "C" void chip_clock_begin(void) {
  // Crystal: datasheet 2.16.7; the start-up delay of 1 ms is 47 * 256 cycles.
  rp2040_reg(0x40024000) = 0xAA0;
  rp2040_reg(0x4002400C) = 47;
  rp2040_reg(0x40024000) = 0xAA0 | (0xFABu << 12);
  while (!(rp2040_reg(0x40024004) & (1u << 31))) {
  }
  // clk_sys to clk_ref, clk_ref to the crystal: 2.15.7.
  rp2040_reg(0x4000803C + kAliasClear) = 1;
  while (rp2040_reg(0x40008044) != 1) {
  }
  rp2040_reg(0x40008030) = 2;
  while (rp2040_reg(0x40008038) != 1u << 2) {
  }
  // PLL: 2.18.4.
  rp2040_unreset(kResetPllSys);
  rp2040_reg(0x40028000) = 1;
  rp2040_reg(0x40028008) = 125;
  rp2040_reg(0x40028004 + kAliasClear) = (1u << 0) | (1u << 5);
  while (!(rp2040_reg(0x40028000) & (1u << 31))) {
  }
  rp2040_reg(0x4002800C) = (6u << 16) | (2u << 12);
  rp2040_reg(0x40028004 + kAliasClear) = 1u << 3;
  // clk_sys from the PLL, clk_peri (the UART's) from clk_sys.
  rp2040_reg(0x4000803C) = 0;
  rp2040_reg(0x4000803C) = 1;
  while (rp2040_reg(0x40008044) != 1u << 1) {
  }
  rp2040_reg(0x40008048) = 1u << 11;
  SystemCoreClock = 125000000;
}
