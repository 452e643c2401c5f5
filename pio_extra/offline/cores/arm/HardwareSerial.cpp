#include "HardwareSerial.h"

#include "chip.h"

HardwareSerial Serial;

void HardwareSerial::begin(unsigned long baud, unsigned config) {
  (void)config;
  head_ = tail_ = 0;
  chip_uart_begin(baud);
}

void HardwareSerial::end() {
  chip_uart_end();
}

void HardwareSerial::receive() {
  while (chip_uart_readable()) {
    const uint8_t value = chip_uart_read();
    const uint8_t next = static_cast<uint8_t>((head_ + 1u) % kRingSize);
    // A full ring drops the newest byte, as the official cores do.
    if (next == tail_)
      continue;
    ring_[head_] = value;
    head_ = next;
  }
}

int HardwareSerial::available() {
  receive();
  return static_cast<int>((kRingSize + head_ - tail_) % kRingSize);
}

int HardwareSerial::peek() {
  return available() == 0 ? -1 : ring_[tail_];
}

int HardwareSerial::read() {
  const int value = peek();
  if (value >= 0)
    tail_ = static_cast<uint8_t>((tail_ + 1u) % kRingSize);
  return value;
}

int HardwareSerial::availableForWrite() {
  return chip_uart_writable() ? 1 : 0;
}

void HardwareSerial::flush() {
  while (!chip_uart_idle())
    receive();
}

size_t HardwareSerial::write(uint8_t value) {
  while (!chip_uart_writable())
    receive();
  chip_uart_write(value);
  return 1;
}
