// USART1 on PA9 (TX) and PA10 (RX): the pins of the ROM loader, so that one adapter
// flashes and talks.
#include <stdint.h>

#include "chip.h"

namespace {

volatile uint32_t &reg(uint32_t address) {
  return *reinterpret_cast<volatile uint32_t *>(address);
}

// RM0090, 7.3.10/7.3.14 RCC enables, 8.4 GPIO, 30.6 USART registers.
const uint32_t kAhb1Enable = 0x40023830, kApb2Enable = 0x40023844;
const uint32_t kGpioA = 0x40020000, kMode = 0x00, kAlternateHigh = 0x24, kPull = 0x0C;
const uint32_t kStatus = 0x40011000, kData = 0x40011004, kBaud = 0x40011008, kControl1 = 0x4001100C;
const uint32_t kReadable = 1u << 5, kIdle = 1u << 6, kWritable = 1u << 7;
const uint32_t kEnable = 1u << 13, kTransmit = 1u << 3, kReceive = 1u << 2;

} // namespace

extern "C" {

extern uint32_t SystemCoreClock;

void chip_uart_begin(uint32_t baud) {
  reg(kAhb1Enable) |= 1u;      // GPIOA
  reg(kApb2Enable) |= 1u << 4; // USART1
  reg(kGpioA + kPull) = (reg(kGpioA + kPull) & ~(3u << 20)) | (1u << 20);
  reg(kGpioA + kMode) = (reg(kGpioA + kMode) & ~(0xFu << 18)) | (0xAu << 18);
  reg(kGpioA + kAlternateHigh) = (reg(kGpioA + kAlternateHigh) & ~(0xFFu << 4)) | (0x77u << 4);
  reg(kControl1) = 0;
  // Oversampling by 16: the register holds APB2 clock / baud, rounded; at 168 MHz the bus
  // runs at half the core's clock (chip_clock_begin).
  const uint32_t clock = SystemCoreClock == 168000000 ? 84000000 : SystemCoreClock;
  reg(kBaud) = (clock + baud / 2) / baud;
  reg(kControl1) = kEnable | kTransmit | kReceive;
}

void chip_uart_end(void) {
  reg(kControl1) = 0;
}
bool chip_uart_readable(void) {
  return reg(kStatus) & kReadable;
}
uint8_t chip_uart_read(void) {
  return static_cast<uint8_t>(reg(kData));
}
bool chip_uart_writable(void) {
  return reg(kStatus) & kWritable;
}
void chip_uart_write(uint8_t value) {
  reg(kData) = value;
}
bool chip_uart_idle(void) {
  return reg(kStatus) & kIdle;
}
}
