/* Accumulator to output scale by a Q31 multiplier: docs/QUANTIZATION.md, "Requantization". */
#include "miniml.h"

#if (-1 >> 1) != -1
#error "MiniML needs an arithmetic right shift of negative numbers"
#endif

/* Cores without a 32 by 32 to 64 bit multiplier would call the compiler's library for it: about
 * 1,000 cycles on an AVR, 50 on a Cortex-M0+. Halves of a word cost no shift on either. */
#ifndef MINIML_HALF_PRODUCTS
#if defined(__AVR__) || defined(__ARM_ARCH_6M__)
#define MINIML_HALF_PRODUCTS 1
#else
#define MINIML_HALF_PRODUCTS 0
#endif
#endif

/* Hides from GCC that a variable is half of a word: avr-gcc would extend it and multiply words. */
#ifdef __AVR__
#define MINIML_HALF(variable) __asm__("" : "+r"(variable))
#else
#define MINIML_HALF(variable) (void)(variable)
#endif

/* (acc * multiplier + 2^30) >> 31. */
static inline int32_t miniml_multiply_high(int32_t acc, int32_t multiplier) {
#if MINIML_HALF_PRODUCTS
  /* As (acc * doubled + 2^31) >> 32: the rounding is 0x8000 in units of 2^16. No sum below can
   * overflow, since (2^16 - 1)^2 + 2 * (2^16 - 1) < 2^32. */
  const uint32_t doubled = (uint32_t)multiplier << 1;
  uint16_t m_low = (uint16_t)doubled, m_high = (uint16_t)(doubled >> 16);
  uint16_t a_low = (uint16_t)(uint32_t)acc;
  int16_t a_high = (int16_t)(acc >> 16);
  MINIML_HALF(m_low);
  MINIML_HALF(m_high);
  MINIML_HALF(a_low);
  MINIML_HALF(a_high);
  const uint32_t low = (uint32_t)a_low * m_low;
  const int32_t cross = (int32_t)a_high * m_low + (int32_t)(low >> 16);
  const uint32_t middle = (uint32_t)a_low * m_high + (uint16_t)cross + 0x8000u;
  return (int32_t)a_high * m_high + (cross >> 16) + (int32_t)(middle >> 16);
#else
  return (int32_t)(((int64_t)acc * multiplier + INT32_C(0x40000000)) >> 31);
#endif
}

MINIML_NOINLINE int8_t miniml_requantize(int32_t acc, int32_t multiplier, int8_t shift) {
  if (shift > 0) {
    /* The generator has proved that the left shift does not overflow. */
    acc = (int32_t)((uint32_t)acc << shift);
  }
  const int32_t scaled = miniml_multiply_high(acc, multiplier);
  uint32_t magnitude = scaled < 0 ? 0u - (uint32_t)scaled : (uint32_t)scaled;
  if (shift < 0) {
    /* Ties away from zero: half a step is added to the magnitude, before the last bit goes. */
    uint8_t places = (uint8_t)(-shift - 1);
#ifdef __AVR__
    /* A loop of 7 cycles a bit there; a byte at once is free. */
    if (places >= 8) {
      magnitude >>= 8;
      places = (uint8_t)(places - 8);
    }
#endif
    magnitude = ((magnitude >> places) + 1) >> 1;
  }
  const int8_t value = magnitude > 127 ? 127 : (int8_t)magnitude;
  return scaled < 0 ? (int8_t)-value : value;
}
