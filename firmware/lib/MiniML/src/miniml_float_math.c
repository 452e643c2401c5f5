/* Activations in binary32 without a libm: miniml/elementary32.py, line by line. */
#include "miniml_float.h"
#include "miniml_float_step.h"

/* ln 2 in two parts; k * LN2_HIGH is exact for k < 512. */
#define LN2_HIGH 0.693145751953125f
#define LN2_LOW 1.42860677e-06f
#define INVERSE_LN2 1.44269502f
#define ARGUMENT_MAX 80.0f

/* e^-a for a >= 0, a clamped to [0, 80]; NaN counts as 80. */
static float miniml_exp_negative(float a) {
  static const float coefficients[] MINIML_FLASH = {
      0.00138131448f, -0.00836941879f, 0.041668456f, -0.166665152f, 0.49999994f, -1.0f, 1.0f};
  if (!(a < ARGUMENT_MAX)) {
    a = ARGUMENT_MAX;
  }
  const uint8_t k = (uint8_t)miniml_single(miniml_single(a * INVERSE_LN2) + 0.5f);
  const float high = miniml_single((float)k * LN2_HIGH);
  const float low = miniml_single((float)k * LN2_LOW);
  const float r = miniml_single(miniml_single(a - high) - low);
  float total = MINIML_FLASH_FLOAT(&coefficients[0]);
  for (uint8_t i = 1; i < sizeof coefficients / sizeof coefficients[0]; i++) {
    total = miniml_single(miniml_single(total * r) + MINIML_FLASH_FLOAT(&coefficients[i]));
  }
  /* total * 2^-k: total lies within [0.7, 1.5], so the exponent's field stays above 0. */
  uint32_t bits;
  memcpy(&bits, &total, sizeof bits);
  bits -= (uint32_t)k << 23;
  memcpy(&total, &bits, sizeof total);
  return total;
}

MINIML_NOINLINE float miniml_activate(uint8_t activation, float x) {
  if (activation == MINIML_LINEAR) {
    return x;
  }
  if (activation == MINIML_RELU) {
    return x > 0 ? x : 0.0f;
  }
  float size = x < 0 ? -x : x;
  if (activation == MINIML_TANH) {
    size += size;
  }
  const float small = miniml_exp_negative(size);
  float top = x >= 0 ? 1.0f : small;
  if (activation == MINIML_TANH) {
    top = miniml_single(1.0f - small);
  }
  const float result = miniml_single(top / miniml_single(1.0f + small));
  return activation == MINIML_TANH && x < 0 ? -result : result;
}

MINIML_NOINLINE float miniml_restore(float value, float scale, float offset) {
  return miniml_single(miniml_single(value * scale) + offset);
}

uint16_t miniml_argmax_float(const float *values, uint16_t n) {
  uint16_t best = 0;
  for (uint16_t i = 1; i < n; i++) {
    if (values[i] > values[best]) {
      best = i;
    }
  }
  return best;
}
