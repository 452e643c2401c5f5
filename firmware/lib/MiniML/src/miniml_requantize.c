/* Accumulator to output scale by a Q31 multiplier: docs/QUANTIZATION.md, "Requantization". */
#include "miniml.h"

#if (-1 >> 1) != -1
#error "MiniML needs an arithmetic right shift of negative numbers"
#endif

/* (acc * multiplier + 2^30) >> 31, which is (acc * 2 * multiplier + 2^31) >> 32, from
 * 16 by 16 bit products: 8-bit cores and the Cortex-M0+ have no wider ones, and the halves
 * of a 32-bit word cost no shift there. */
static int32_t miniml_multiply_high(int32_t acc, int32_t multiplier) {
  const uint32_t doubled = (uint32_t)multiplier << 1;
  const uint16_t m_low = (uint16_t)doubled;
  const uint16_t m_high = (uint16_t)(doubled >> 16);
  const uint16_t a_low = (uint16_t)(uint32_t)acc;
  const int16_t a_high = (int16_t)(acc >> 16);
  const int32_t cross_high = (int32_t)a_high * (int32_t)m_low;
  const uint32_t cross_low = (uint32_t)a_low * m_high;
  const uint32_t low = (uint32_t)a_low * m_low;
  /* The sum in units of 2^16; 0x8000 is the rounding 2^31. */
  const uint32_t middle = (uint16_t)(uint32_t)cross_high + (uint32_t)(uint16_t)cross_low +
                          (uint32_t)(uint16_t)(low >> 16) + 0x8000u;
  /* The result fits 32 bits though its first term alone may not, hence unsigned. */
  return (int32_t)((uint32_t)a_high * m_high + (uint32_t)(cross_high >> 16) + (cross_low >> 16) +
                   (middle >> 16));
}

int32_t miniml_requantize(int32_t acc, int32_t multiplier, int8_t shift) {
  if (shift >= 0) {
    /* The generator has proved that the left shift does not overflow. */
    return miniml_multiply_high((int32_t)((uint32_t)acc << shift), multiplier);
  }
  const int32_t scaled = miniml_multiply_high(acc, multiplier);
  uint8_t places = (uint8_t)-shift;
  uint32_t magnitude = scaled < 0 ? 0u - (uint32_t)scaled : (uint32_t)scaled;
  /* Ties away from zero: half a step is added to the magnitude. */
  magnitude += (uint32_t)1 << (places - 1);
  magnitude >>= places;
  return scaled < 0 ? -(int32_t)magnitude : (int32_t)magnitude;
}
