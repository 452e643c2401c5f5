/* The float modes: binary32 in a stated order, the same bits on every board (docs/MODES.md).
 *
 * float32: weights, sums and activations in binary32. avr_hybrid_literal: int8 weights, each made a
 * float where it is used. avr_hybrid: int8 weights, a layer's inputs as 15-bit integers with a
 * common power of two, sums of integers, one multiplication by the row's scale. */
#ifndef MINIML_FLOAT_H
#define MINIML_FLOAT_H

#include "miniml.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MINIML_LINEAR 0
#define MINIML_RELU 1
#define MINIML_SIGMOID 2
#define MINIML_TANH 3

/* One fully connected layer. The struct and everything it points to lie in flash. */
typedef struct {
  const void *weights; /* n_outputs rows of n_inputs, float (float32) or int8_t in [-127, 127] */
  const float *scales; /* n_outputs, of the int8_t weights; 0 in float32 */
  const float *bias;   /* n_outputs */
  uint16_t n_inputs;
  uint16_t n_outputs;
  uint8_t activation;
} miniml_float_layer;

/* How raw features are scaled, in flash: (x - shift) * factor. */
typedef struct {
  const float *shift;
  const float *factor;
} miniml_float_scaler;

/* Each runs n_layers layers on raw features and returns the last one's output, in a scratch buffer.
 * The layers and the scaler's arrays lie in flash. in[] may be anywhere but in a scratch buffer. */

/* scratch_a holds the inputs and every second layer's outputs, scratch_b those of the others. */
const float *miniml_run_float32(const miniml_float_layer *layers, uint8_t n_layers, const float *in,
                                miniml_float_scaler scaler, float *scratch_a, float *scratch_b);
const float *miniml_run_hybrid_literal(const miniml_float_layer *layers, uint8_t n_layers,
                                       const float *in, miniml_float_scaler scaler,
                                       float *scratch_a, float *scratch_b);
/* scratch holds the inputs, and for each layer MINIML_HYBRID_SCRATCH of its inputs and outputs. */
const float *miniml_run_hybrid(const miniml_float_layer *layers, uint8_t n_layers, const float *in,
                               miniml_float_scaler scaler, float *scratch);
/* Floats that a layer of avr_hybrid takes: its inputs as int16_t, then its outputs. */
#define MINIML_HYBRID_SCRATCH(n_inputs, n_outputs) (((n_inputs) + 1u) / 2u + (n_outputs))

/* x > 0 ? x : 0, or sigmoid or tanh as miniml/elementary32.py states them. */
float miniml_activate(uint8_t activation, float x);

/* value * scale + offset, each step in binary32. */
float miniml_restore(float value, float scale, float offset);

/* Index of the largest value, the lowest on a tie; n >= 1. */
uint16_t miniml_argmax_float(const float *values, uint16_t n);

#ifdef __cplusplus
}
#endif

#endif
