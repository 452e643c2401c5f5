// UART0 (a PL011) on GP0 (TX) and GP1 (RX). The official core's Serial is USB instead;
// its Serial1 is this UART.
#include <stdint.h>

#include "registers.h"

extern "C" {

extern uint32_t SystemCoreClock;

// Datasheet 4.2.8 (UART registers), 2.19.6.1 (function select 2: UART).
void chip_uart_begin(uint32_t baud) {
  rp2040_unreset(kResetIoBank0 | kResetPadsBank0 | kResetUart0);
  rp2040_reg(0x40014004) = 2;
  rp2040_reg(0x4001400C) = 2;
  rp2040_reg(0x40034030) = 0;
  // 4.2.7.1: divisor in 64ths, clk_peri / (16 * baud).
  const uint32_t divisor = (SystemCoreClock * 8u / baud + 1) / 2;
  rp2040_reg(0x40034024) = divisor >> 6;
  rp2040_reg(0x40034028) = divisor & 0x3F;
  rp2040_reg(0x4003402C) = (3u << 5) | (1u << 4); // 8 bits, FIFOs
  rp2040_reg(0x40034030) = 0x301;                 // receive, transmit, enable
}

void chip_uart_end(void) {
  rp2040_reg(0x40034030) = 0;
}
bool chip_uart_readable(void) {
  return !(rp2040_reg(0x40034018) & (1u << 4));
}
uint8_t chip_uart_read(void) {
  return static_cast<uint8_t>(rp2040_reg(0x40034000));
}
bool chip_uart_writable(void) {
  return !(rp2040_reg(0x40034018) & (1u << 5));
}
void chip_uart_write(uint8_t value) {
  rp2040_reg(0x40034000) = value;
}
bool chip_uart_idle(void) {
  return !(rp2040_reg(0x40034018) & (1u << 3));
}
}
