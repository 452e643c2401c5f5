/* One binary32 operation at a time, whatever the flags: for the sources of the float modes.
 *
 * GNU C fuses a product with the sum that takes it (-ffp-contract=fast is its default) where the
 * core has such an instruction, as the Cortex-M4F; a fused step rounds once instead of twice. */
#ifndef MINIML_FLOAT_STEP_H
#define MINIML_FLOAT_STEP_H

#include <float.h>

/* These options let a compiler reorder or skip steps. */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "MiniML: -ffast-math changes the bits of the float modes; leave it out for this library"
#endif

/* A value rounded to binary32 that the compiler can't fuse with what comes after. */
static inline float miniml_single(float value) {
#if (defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0)
  const volatile float rounded = value;
  return rounded;
#elif defined(__ARM_FEATURE_FMA) && defined(__GNUC__) && !defined(__aarch64__)
  __asm__("" : "+t"(value));
  return value;
#elif defined(__FP_FAST_FMAF)
  const volatile float rounded = value;
  return rounded;
#else
  return value;
#endif
}

/* (x - shift) * factor. */
static inline float miniml_scaled(float x, float shift, float factor) {
  return miniml_single(miniml_single(x - shift) * factor);
}

#endif
