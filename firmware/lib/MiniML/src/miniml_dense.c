/* Fully connected layers in portable C; the last resort of every generated kernel. */
#include "miniml.h"

/* acc + sum(weights * in). Two products of [-127, 127] sum to at most 32,258, which an int
 * holds: half of the 32-bit additions, which cost most on an 8-bit core. */
MINIML_NOINLINE static int32_t miniml_dot(const int8_t *weights, const int8_t *in, uint_fast16_t n,
                                          int32_t acc) {
  int sum = 0;
  if (n & 1) {
    sum = miniml_flash_next(&weights) * miniml_next(&in);
  }
  for (uint_fast16_t pairs = n >> 1; pairs != 0; pairs--) {
    acc += sum;
    sum = miniml_flash_next(&weights) * miniml_next(&in);
    sum += miniml_flash_next(&weights) * miniml_next(&in);
  }
  return acc + sum;
}

MINIML_NOINLINE void miniml_dense_run(const miniml_dense_layer *layer, const int8_t *in,
                                      int8_t *out) {
  miniml_dense_layer l;
  MINIML_FLASH_COPY(&l, layer, sizeof l);
  for (uint_fast16_t row = l.n_outputs; row != 0; row--) {
    const int32_t acc = miniml_dot(l.weights, in, l.n_inputs, MINIML_FLASH_I32(l.bias));
    int8_t value =
        miniml_requantize(acc, MINIML_FLASH_I32(l.multipliers), MINIML_FLASH_I8(l.shifts));
    if (value < l.activation_min) {
      value = l.activation_min;
    }
    if (value > l.activation_max) {
      value = l.activation_max;
    }
    if (l.table) {
      value = MINIML_FLASH_I8(l.table + (value + 128));
    }
    *out++ = value;
    l.weights += l.n_inputs;
    l.bias++;
    l.multipliers++;
    l.shifts++;
  }
}

MINIML_NOINLINE const int8_t *miniml_run_layers(const miniml_dense_layer *layers, uint8_t n_layers,
                                                const int8_t *in, int8_t input_min,
                                                int8_t *scratch_a, int8_t *scratch_b) {
  miniml_dense_layer first;
  MINIML_FLASH_COPY(&first, layers, sizeof first);
  for (uint_fast16_t i = 0; i < first.n_inputs; i++) {
    scratch_a[i] = in[i] < input_min ? input_min : in[i];
  }
  for (uint8_t i = 0; i < n_layers; i++) {
    miniml_dense_run(layers + i, scratch_a, scratch_b);
    int8_t *const written = scratch_b;
    scratch_b = scratch_a;
    scratch_a = written;
  }
  return scratch_a;
}

uint16_t miniml_argmax(const int8_t *values, uint16_t n) {
  uint16_t best = 0;
  for (uint16_t i = 1; i < n; i++) {
    if (values[i] > values[best]) {
      best = i;
    }
  }
  return best;
}
