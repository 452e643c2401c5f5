// millis() and micros() from SysTick at 1 kHz: the official STM32 core (HAL tick) and the
// mbed core (RTOS tick) keep SysTick busy in the same way.
#include "Arduino.h"

namespace {

struct SysTickRegisters {
  volatile uint32_t control, reload, value, calibration;
};
// ARMv6-M and ARMv7-M reference manuals, B3.3: SysTick at 0xE000E010.
SysTickRegisters *const systick = reinterpret_cast<SysTickRegisters *>(0xE000E010u);
volatile uint32_t *const interrupt_control = reinterpret_cast<uint32_t *>(0xE000ED04u);

const uint32_t kCoreClockTickInterruptEnable = 7;
const uint32_t kTickPending = 1u << 26; // ICSR.PENDSTSET

volatile uint32_t milliseconds;

} // namespace

extern "C" void SysTick_Handler(void) {
  milliseconds = milliseconds + 1;
}

extern "C" void chip_time_begin(void) {
  systick->reload = SystemCoreClock / 1000 - 1;
  systick->value = 0;
  systick->control = kCoreClockTickInterruptEnable;
}

extern "C" unsigned long millis(void) {
  return milliseconds;
}

extern "C" unsigned long micros(void) {
  uint32_t before, ticks, pending, after;
  do {
    before = milliseconds;
    pending = *interrupt_control & kTickPending;
    ticks = systick->reload - systick->value;
    after = milliseconds;
  } while (before != after || pending != (*interrupt_control & kTickPending));
  // With interrupts masked the counter has wrapped, but the handler has not run yet.
  if (pending)
    before++;
  return before * 1000u + ticks / (SystemCoreClock / 1000000u);
}

extern "C" void delay(unsigned long ms) {
  const unsigned long since = millis();
  while (millis() - since < ms)
    yield();
}

extern "C" void delayMicroseconds(unsigned int us) {
  const unsigned long since = micros();
  while (micros() - since < us) {
  }
}
