/* Where floats meet int8: docs/QUANTIZATION.md, "Float input".
 *
 * The product goes through a volatile so that no compiler fuses it with the addition
 * (-ffp-contract is on by default in GNU C, and the Cortex-M4F has an FMA): one rounding
 * for each step, as in numpy, whatever the flags. */
#include "miniml.h"

int8_t miniml_quantize_input(float x, float inv_scale, float offset, int8_t input_min) {
  const volatile float product = x * inv_scale;
  const float y = product + offset;
  if (y != y) {
    return 0;
  }
  if (y <= (float)input_min) {
    return input_min;
  }
  if (y >= 127.0f) {
    return 127;
  }
  /* Truncate and look at the exact rest: y + 0.5 would round 0.49999997 up to 1. */
  int8_t whole = (int8_t)y;
  const float rest = y - (float)whole;
  if (rest >= 0.5f) {
    whole++;
  } else if (rest <= -0.5f) {
    whole--;
  }
  return whole;
}

float miniml_dequantize_output(int8_t value, float scale, float offset) {
  const volatile float product = (float)value * scale;
  return product + offset;
}
