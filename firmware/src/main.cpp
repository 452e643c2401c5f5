// The sketch: your application, and the link by which a host proves the model on this board.
#include <Arduino.h>
#include <miniml.h>

#include "miniml_firmware.h"

// 0 leaves the link out of a release build; its cost is what the build prints.
#ifndef MINIML_LINK
#define MINIML_LINK 1
#endif

static int8_t input[MINIML_MODEL_CONSTANT(N_INPUTS)];

#if MINIML_LINK
#include <MiniMLLink.h>

extern const char miniml_build_id[] MINIML_FLASH;
static const char model_id[] MINIML_FLASH = MINIML_MODEL_CONSTANT(MODEL_ID);
static const char board_name[] MINIML_FLASH = MINIML_BOARD_NAME;

static const miniml_link_model model = {
    MINIML_MODEL_CONSTANT(N_INPUTS),
    MINIML_MODEL_CONSTANT(N_OUTPUTS),
    MINIML_MODEL_CONSTANT(N_LAYERS),
    input,
    MINIML_MODEL(run_layers),
    MINIML_MODEL(layer_width),
    MINIML_MODEL(quantize),
    model_id,
    miniml_build_id,
    board_name,
};

static MiniMLLink host(MINIML_LINK_STREAM, model, MINIML_BOARD_CLOCK_HZ);
#endif

// Your application: call it with every new value of a sensor. Once a whole window has come in,
// the network runs; classify() is the largest output, a regression reads MINIML_MODEL(predict).
static uint16_t classify(const float *features) {
  for (uint16_t i = 0; i < MINIML_MODEL_CONSTANT(N_INPUTS); i++) {
    input[i] = MINIML_MODEL(quantize)(i, features[i]);
  }
  int8_t output[MINIML_MODEL_CONSTANT(N_OUTPUTS)];
  MINIML_MODEL(run_int8)(input, output);
  return miniml_argmax(output, MINIML_MODEL_CONSTANT(N_OUTPUTS));
}

static volatile uint16_t last_class;

// Replace it with your sensor: true when features[] holds a new window.
static bool window_is_full(float *features) {
  (void)features;
  return false;
}

void setup() {
  MINIML_LINK_STREAM.begin(MINIML_LINK_BAUD);
#if MINIML_LINK
  host.begin();
#endif
}

void loop() {
  static float features[MINIML_MODEL_CONSTANT(N_INPUTS)];
  if (window_is_full(features)) {
    last_class = classify(features);
  }
#if MINIML_LINK
  host.poll();
#endif
}
