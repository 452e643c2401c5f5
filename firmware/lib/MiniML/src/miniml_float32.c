/* The modes whose sums are floats: float32, and avr_hybrid as the quantization guide writes it. */
#include "miniml_float.h"
#include "miniml_float_step.h"

/* bias + w * x + w * x + ..., in this order. */
MINIML_NOINLINE static float miniml_float32_row(const miniml_float_layer *l, uint_fast16_t row,
                                                const float *in) {
  const float *weights = (const float *)l->weights + (size_t)row * l->n_inputs;
  float sum = MINIML_FLASH_FLOAT(&l->bias[row]);
  for (uint_fast16_t n = l->n_inputs; n != 0; n--) {
    sum = miniml_single(sum + miniml_single(MINIML_FLASH_FLOAT(weights++) * *in++));
  }
  return sum;
}

/* The same with w = (float)(int8_t)byte * scale, made anew for each product. */
MINIML_NOINLINE static float miniml_hybrid_literal_row(const miniml_float_layer *l,
                                                       uint_fast16_t row, const float *in) {
  const int8_t *weights = (const int8_t *)l->weights + (size_t)row * l->n_inputs;
  float sum = MINIML_FLASH_FLOAT(&l->bias[row]);
  for (uint_fast16_t n = l->n_inputs; n != 0; n--) {
    const float weight =
        miniml_single((float)MINIML_FLASH_I8(weights++) * MINIML_FLASH_FLOAT(&l->scales[row]));
    sum = miniml_single(sum + miniml_single(weight * *in++));
  }
  return sum;
}

typedef float (*row_function)(const miniml_float_layer *l, uint_fast16_t row, const float *in);

static const float *run(row_function row_of, const miniml_float_layer *layers, uint8_t n_layers,
                        const float *in, miniml_float_scaler scaler, float *scratch_a,
                        float *scratch_b) {
  miniml_float_layer l;
  MINIML_FLASH_COPY(&l, layers, sizeof l);
  for (uint_fast16_t i = 0; i < l.n_inputs; i++) {
    scratch_a[i] = miniml_scaled(in[i], MINIML_FLASH_FLOAT(&scaler.shift[i]),
                                 MINIML_FLASH_FLOAT(&scaler.factor[i]));
  }
  for (; n_layers != 0; n_layers--) {
    MINIML_FLASH_COPY(&l, layers++, sizeof l);
    for (uint_fast16_t row = 0; row < l.n_outputs; row++) {
      scratch_b[row] = miniml_activate(l.activation, row_of(&l, row, scratch_a));
    }
    float *const written = scratch_b;
    scratch_b = scratch_a;
    scratch_a = written;
  }
  return scratch_a;
}

MINIML_NOINLINE const float *miniml_run_float32(const miniml_float_layer *layers, uint8_t n_layers,
                                                const float *in, miniml_float_scaler scaler,
                                                float *scratch_a, float *scratch_b) {
  return run(miniml_float32_row, layers, n_layers, in, scaler, scratch_a, scratch_b);
}

MINIML_NOINLINE const float *miniml_run_hybrid_literal(const miniml_float_layer *layers,
                                                       uint8_t n_layers, const float *in,
                                                       miniml_float_scaler scaler, float *scratch_a,
                                                       float *scratch_b) {
  return run(miniml_hybrid_literal_row, layers, n_layers, in, scaler, scratch_a, scratch_b);
}
