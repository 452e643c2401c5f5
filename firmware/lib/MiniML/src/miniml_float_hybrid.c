/* avr_hybrid: floats between the layers, integers within (miniml/reference_float.py). */
#include "miniml_float.h"
#include "miniml_float_step.h"

#include <stdbool.h>

/* Biased exponents of binary32: below the first everything counts as 0. */
#define EXPONENT_MIN 32
#define LARGEST UINT32_C(0x7F7FFFFF)
#define INFINITE UINT32_C(0x7F800000)

/* The bits of |x|; NaN counts as 0, an infinity as the largest finite number. */
static inline uint32_t magnitude(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits &= UINT32_C(0x7FFFFFFF);
  if (bits >= INFINITE) {
    bits = bits == INFINITE ? LARGEST : 0;
  }
  return bits;
}

/* Lies where floats were; the compiler may take no access to one for none to the other. */
typedef int16_t __attribute__((may_alias)) miniml_number;

/* Each value as a whole number of steps of 2^(E - 140), ties away from zero, E being the largest
 * biased exponent; at most 2^14 in magnitude. Returns the step. numbers may begin where values do
 * or before: a value is read before its place is written. */
MINIML_NOINLINE static float miniml_hybrid_numbers(const float *values, uint_fast16_t n,
                                                   miniml_number *numbers) {
  uint8_t largest = EXPONENT_MIN;
  for (uint_fast16_t i = 0; i < n; i++) {
    const uint8_t exponent = (uint8_t)(magnitude(values[i]) >> 23);
    if (exponent > largest) {
      largest = exponent;
    }
  }
  for (uint_fast16_t i = 0; i < n; i++) {
    const uint32_t bits = magnitude(values[i]);
    const uint8_t places = (uint8_t)(largest - (uint8_t)(bits >> 23));
    /* The hidden bit and 15 more: those below decide no rounding. */
    uint16_t mantissa = (uint16_t)((bits >> 8) | 0x8000u);
    mantissa = (uint16_t)(mantissa >> 1);
    mantissa = (uint16_t)(places > 15 ? 0 : mantissa >> places);
    const int16_t number = (int16_t)((uint16_t)(mantissa + 1) >> 1);
    const bool negative = values[i] < 0;
    numbers[i] = negative ? (int16_t)-number : number;
  }
  const uint32_t bits = (uint32_t)(largest - 13) << 23;
  float step;
  memcpy(&step, &bits, sizeof step);
  return step;
}

/* sum(weight * number), whose magnitude the generator has proved to be below 2^31. */
MINIML_NOINLINE static int32_t miniml_hybrid_dot(const int8_t *weights,
                                                 const miniml_number *numbers, uint16_t n) {
  int32_t sum = 0;
#ifdef __AVR__
  /* 24 cycles a product: C is the sign of a product, so SBC makes its upper bytes. */
  int8_t weight, low, high, sign;
  __asm__("1: lpm %[weight], Z+\n\t"
          "ld %[low], X+\n\t"
          "ld %[high], X+\n\t"
          "mulsu %[weight], %[low]\n\t"
          "sbc %[sign], %[sign]\n\t"
          "add %A[sum], r0\n\t"
          "adc %B[sum], r1\n\t"
          "adc %C[sum], %[sign]\n\t"
          "adc %D[sum], %[sign]\n\t"
          "muls %[weight], %[high]\n\t"
          "sbc %[sign], %[sign]\n\t"
          "add %B[sum], r0\n\t"
          "adc %C[sum], r1\n\t"
          "adc %D[sum], %[sign]\n\t"
          "sbiw %[n], 1\n\t"
          "brne 1b\n\t"
          "clr __zero_reg__"
          : [sum] "+r"(sum), [weight] "=&a"(weight), [low] "=&a"(low), [high] "=&a"(high),
            [sign] "=&r"(sign), [n] "+w"(n), "+z"(weights), "+x"(numbers)
          :
          : "r0", "memory");
#else
#ifdef __ARM_FEATURE_SIMD32
  /* Two products an instruction: columns 0 and 2, then 1 and 3. */
  for (; n >= 4; n = (uint16_t)(n - 4)) {
    uint32_t bytes, first, last, even, odd;
    memcpy(&bytes, weights, sizeof bytes);
    memcpy(&first, numbers, sizeof first);
    memcpy(&last, numbers + 2, sizeof last);
    __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(bytes));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(bytes));
    const uint32_t even_numbers = (first & 0xFFFFu) | last << 16;
    const uint32_t odd_numbers = first >> 16 | (last & 0xFFFF0000u);
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(even), "r"(even_numbers));
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(odd), "r"(odd_numbers));
    weights += 4;
    numbers += 4;
  }
#endif
  for (; n >= 4; n = (uint16_t)(n - 4)) {
    sum += (int32_t)weights[0] * numbers[0];
    sum += (int32_t)weights[1] * numbers[1];
    sum += (int32_t)weights[2] * numbers[2];
    sum += (int32_t)weights[3] * numbers[3];
    weights += 4;
    numbers += 4;
  }
  for (; n != 0; n--) {
    sum += (int32_t)*weights++ * *numbers++;
  }
#endif
  return sum;
}

/* sigmoid(i / 16) - 1/2 in units of 2^-17. */
static const uint16_t miniml_sigmoid_table[] MINIML_FLASH = {
    0,     2047,  4091,  6126,  8150,  10157, 12146, 14112, 16051, 17961, 19838, 21681, 23485,
    25250, 26973, 28652, 30285, 31873, 33412, 34904, 36346, 37740, 39084, 40379, 41625, 42823,
    43972, 45075, 46131, 47142, 48108, 49031, 49912, 50752, 51552, 52314, 53038, 53727, 54382,
    55003, 55593, 56152, 56683, 57185, 57660, 58110, 58536, 58939, 59320, 59680, 60019, 60340,
    60643, 60929, 61199, 61454, 61694, 61920, 62134, 62335, 62524, 62703, 62871, 63029, 63179,
    63319, 63451, 63576, 63693, 63803, 63907, 64004, 64096, 64182, 64263, 64340, 64412, 64479,
    64543, 64603, 64659, 64712, 64761, 64808, 64852, 64893, 64932, 64968, 65003, 65035, 65065,
    65093, 65120, 65145, 65169, 65191, 65212, 65231, 65250, 65267, 65283, 65299, 65313, 65327,
    65339, 65351, 65362, 65373, 65383, 65392, 65401, 65409, 65417, 65424, 65431, 65437, 65443,
    65449, 65454, 65459, 65464, 65468, 65472, 65476, 65480, 65483, 65486, 65489, 65492, 65495,
    65497, 65500, 65502, 65504, 65506, 65508, 65509, 65511, 65512, 65514, 65515, 65516, 65518,
    65519, 65520, 65521, 65522, 65523, 65523, 65524, 65525, 65526, 65526, 65527, 65527, 65528,
    65528, 65529, 65529, 65530, 65530, 65530, 65531, 65531, 65531, 65532, 65532, 65532, 65532,
    65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534,
    65534, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535};
/* 12, in units of 2^-12: sigmoid and 1 differ by less than 2^-17. */
#define ARGUMENT_END 49152u

/* |sigmoid(x) - 1/2| in units of 2^-17: the table at |x| * 2^bits, linearly interpolated. */
static uint16_t miniml_hybrid_sigmoid(float x, uint8_t bits) {
  const uint32_t size = magnitude(x);
  /* 130 is the exponent of [8, 16). */
  const uint8_t exponent = (uint8_t)(size >> 23), top = (uint8_t)(130 + 12 - bits);
  uint16_t at = (uint16_t)((size >> 8) | 0x8000u);
  if (exponent > top) {
    at = ARGUMENT_END;
  } else if (exponent < top) {
    const uint8_t places = (uint8_t)(top - 1 - exponent);
    at = (uint16_t)(places > 15 ? 0 : at >> places);
    at = (uint16_t)((at + 1u) >> 1);
  }
  if (at >= ARGUMENT_END) {
    at = ARGUMENT_END - 1;
  }
  const uint16_t *const entry = &miniml_sigmoid_table[at >> 8];
  const uint16_t low = MINIML_FLASH_U16(entry), high = MINIML_FLASH_U16(entry + 1);
  const uint32_t rest = (uint32_t)(uint16_t)(high - low) * (uint8_t)at;
  return (uint16_t)(low + (uint16_t)((rest + 128) >> 8));
}

/* Relu as in every mode; sigmoid and tanh by the table. */
static float miniml_hybrid_activate(uint8_t activation, float x) {
  if (activation < MINIML_SIGMOID) {
    return miniml_activate(activation, x);
  }
  const uint8_t tanh = activation == MINIML_TANH;
  /* tanh(x) = 2 * (sigmoid(2 * x) - 1/2). */
  const int32_t half = miniml_hybrid_sigmoid(x, tanh ? 13 : 12);
  const int32_t signed_half = x < 0 ? -half : half;
  return tanh ? miniml_single((float)signed_half * 0x1p-16f)
              : miniml_single((float)(signed_half + 65536) * 0x1p-17f);
}

MINIML_NOINLINE const float *miniml_run_hybrid(const miniml_float_layer *layers, uint8_t n_layers,
                                               const float *in, miniml_float_scaler scaler,
                                               float *scratch) {
  miniml_float_layer l;
  MINIML_FLASH_COPY(&l, layers, sizeof l);
  for (uint_fast16_t i = 0; i < l.n_inputs; i++) {
    scratch[i] = miniml_scaled(in[i], MINIML_FLASH_FLOAT(&scaler.shift[i]),
                               MINIML_FLASH_FLOAT(&scaler.factor[i]));
  }
  /* Floats go in and come out; in between only their numbers are kept, at the buffer's start. */
  miniml_number *const numbers = (miniml_number *)(void *)scratch;
  float *values = scratch;
  for (; n_layers != 0; n_layers--) {
    MINIML_FLASH_COPY(&l, layers++, sizeof l);
    const float step = miniml_hybrid_numbers(values, l.n_inputs, numbers);
    const int8_t *weights = (const int8_t *)l.weights;
    values = scratch + MINIML_HYBRID_SCRATCH(l.n_inputs, 0);
    for (uint_fast16_t row = 0; row < l.n_outputs; row++) {
      const int32_t number = miniml_hybrid_dot(weights, numbers, l.n_inputs);
      const float sum = miniml_single((float)number * step);
      const float scaled = miniml_single(sum * MINIML_FLASH_FLOAT(&l.scales[row]));
      const float biased = miniml_single(scaled + MINIML_FLASH_FLOAT(&l.bias[row]));
      values[row] = miniml_hybrid_activate(l.activation, biased);
      weights += l.n_inputs;
    }
  }
  return values;
}
