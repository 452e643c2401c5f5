/* Where floats meet int8: docs/QUANTIZATION.md, "Float input".
 *
 * One rounding for each step, as in numpy, whatever the flags: -ffp-contract is on by default in
 * GNU C, and the Cortex-M4F has a fused multiply-add. */
#include "miniml.h"

/* These options let a compiler reorder or skip the steps below. */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "MiniML: -ffast-math changes the bytes of float inputs; leave it out for this library"
#endif

/* value * scale + offset. The product goes through a volatile so that no compiler fuses it with
 * the addition; the sum does so that it is rounded to binary32 even where the compiler computes
 * in a wider format (x87: FLT_EVAL_METHOD 2), which is harmless as 64 >= 2 * 24 + 2 bits. */
static float miniml_scale(float value, float scale, float offset) {
  const volatile float product = value * scale;
  const volatile float sum = product + offset;
  return sum;
}

MINIML_NOINLINE int8_t miniml_quantize_input(float x, float inv_scale, float offset,
                                             int8_t input_min) {
  const float y = miniml_scale(x, inv_scale, offset);
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

MINIML_NOINLINE float miniml_dequantize_output(int8_t value, float scale, float offset) {
  return miniml_scale((float)value, scale, offset);
}
