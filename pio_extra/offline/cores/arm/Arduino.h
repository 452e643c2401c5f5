// The part of the Arduino API that the offline kit's ARM cores offer: Serial, Print,
// Stream, time, interrupt masking, flash helpers. No pins, no String, no USB.
#ifndef Arduino_h
#define Arduino_h

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "avr/pgmspace.h"
#include "chip.h"

typedef uint8_t byte;
typedef uint16_t word;
typedef bool boolean;

#define HIGH 0x1
#define LOW 0x0
#define DEC 10
#define HEX 16
#define OCT 8
#define BIN 2

#define lowByte(w) ((uint8_t)((w)&0xff))
#define highByte(w) ((uint8_t)((w) >> 8))
#define bitRead(value, bit) (((value) >> (bit)) & 0x01)
#define bitSet(value, bit) ((value) |= (1UL << (bit)))
#define bitClear(value, bit) ((value) &= ~(1UL << (bit)))
#define constrain(amt, low, high) ((amt) < (low) ? (low) : ((amt) > (high) ? (high) : (amt)))

#ifdef __cplusplus
extern "C" {
#endif

// Core clock in Hz, as CMSIS defines it; the official cores of both chips have it too.
extern uint32_t SystemCoreClock;

void setup(void);
void loop(void);
void yield(void);

unsigned long millis(void);
unsigned long micros(void);
void delay(unsigned long ms);
void delayMicroseconds(unsigned int us);

static inline void interrupts(void) {
  __asm volatile("cpsie i" ::: "memory");
}
static inline void noInterrupts(void) {
  __asm volatile("cpsid i" ::: "memory");
}

#ifdef __cplusplus
}

#include "HardwareSerial.h"

template <class A, class B> auto min(const A &a, const B &b) -> decltype(a < b ? a : b) {
  return b < a ? b : a;
}
template <class A, class B> auto max(const A &a, const B &b) -> decltype(a < b ? b : a) {
  return a < b ? b : a;
}
#endif

#endif
