/* MiniML: exact int8 inference. The arithmetic is docs/QUANTIZATION.md; models are headers
 * that `miniml generate` writes. */
#ifndef MINIML_H
#define MINIML_H

#include <stdint.h>

#include "miniml_flash.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Measured and foretold functions keep one body, whatever the link-time optimizer does. */
#if defined(__GNUC__) && !defined(__clang__)
#define MINIML_NOINLINE __attribute__((noinline, noclone))
#else
#define MINIML_NOINLINE __attribute__((noinline))
#endif
/* A model's header may be included where only some of its functions are called. */
#define MINIML_UNUSED __attribute__((unused))

/* One fully connected layer. The struct and everything it points to lie in flash. */
typedef struct {
  const int8_t *weights;      /* n_outputs rows of n_inputs, in [-127, 127] */
  const int32_t *bias;        /* n_outputs, at the accumulator's scale */
  const int32_t *multipliers; /* n_outputs, in [2^30, 2^31) */
  const int8_t *shifts;       /* n_outputs, in [-31, 30]; positive is a left shift */
  const int8_t *table;        /* 256 values indexed by value + 128, or 0: no table */
  uint16_t n_inputs;
  uint16_t n_outputs;
  int8_t activation_min;
  int8_t activation_max;
} miniml_dense_layer;

/* A model as the link and other tools see it. The struct and its constants lie in flash. */
typedef struct {
  const char *model_id;   /* 64 hex digits */
  const uint16_t *widths; /* outputs of each layer */
  uint16_t n_inputs;
  uint16_t n_outputs;
  uint8_t n_layers;
  uint8_t value_size; /* bytes of an input or output: 1, or 4 where they are floats */
  /* The output of layer n_layers (1 to all), valid until the next run; floats are seen as bytes. */
  const int8_t *(*run_layers)(const int8_t *in, uint8_t n_layers);
  int8_t (*quantize)(uint16_t index, float x); /* 0: the input is floats */
} miniml_model;

/* Run one layer: layer in flash, in[n_inputs] in [-127, 127], out[n_outputs]; no overlap. */
void miniml_dense_run(const miniml_dense_layer *layer, const int8_t *in, int8_t *out);

/* Run n_layers layers. in[] holds any int8 and is clamped to input_min (so that -128 never
 * reaches a kernel), and may be scratch_a. scratch_a holds the input and the output of every
 * second layer, scratch_b those of the others. Returns the last layer's output, in one of them. */
const int8_t *miniml_run_layers(const miniml_dense_layer *layers, uint8_t n_layers,
                                const int8_t *in, int8_t input_min, int8_t *scratch_a,
                                int8_t *scratch_b);

/* acc * multiplier * 2^(shift - 31), rounded twice (gemmlowp, the default of CMSIS-NN) and
 * saturated to [-127, 127]. Needs |acc * 2^max(shift, 0)| < 2^31, which the generator proves. */
int8_t miniml_requantize(int32_t acc, int32_t multiplier, int8_t shift);

/* round_half_away(x * inv_scale + offset) clamped to [input_min, 127], each step in binary32;
 * NaN becomes 0. */
int8_t miniml_quantize_input(float x, float inv_scale, float offset, int8_t input_min);

/* value * scale + offset, each step in binary32. */
float miniml_dequantize_output(int8_t value, float scale, float offset);

/* Index of the largest value, the lowest on a tie; n >= 1. */
uint16_t miniml_argmax(const int8_t *values, uint16_t n);

#ifdef __cplusplus
}
#endif

#endif
