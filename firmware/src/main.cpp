// The sketch: your application, and the link by which a host proves the model on this board.
#include <Arduino.h>
#include <miniml.h>

#include "miniml_firmware.h" // generated: the model, the board, the link's stream and rate

// 0 leaves the link out of a release build.
#ifndef MINIML_LINK
#define MINIML_LINK 1
#endif

// One sample as the model takes it; the link's PUT and FLOAT write here as well. From the start of
// a word a 32-bit core copies it word by word.
__attribute__((aligned(4))) static MINIML_MODEL_VALUE sample[MINIML_MODEL_CONSTANT(N_INPUTS)];
static volatile bool sample_is_complete;

// Call this from your driver or data-ready interrupt, feature by feature, with raw values as in
// the CSV.
void take_feature(uint16_t index, float value) {
  sample[index] = MINIML_MODEL_INPUT(index, value);
  sample_is_complete = index == MINIML_MODEL_CONSTANT(N_INPUTS) - 1;
}

// What your product does with a prediction. Lines without '!' are log text to the link's host.
static void act_on(const MINIML_MODEL_VALUE *output) {
  MINIML_LINK_STREAM.println(MINIML_MODEL_RESULT(output));
}

#if MINIML_LINK
#include <MiniMLLink.h>

extern const char miniml_build_id[] MINIML_FLASH; // build_id.cpp
static const char board_name[] MINIML_FLASH = MINIML_BOARD_NAME;
static const miniml_link_config link_config MINIML_FLASH = {&MINIML_MODEL(model), sample,
                                                            board_name, miniml_build_id};
static MiniMLLink device_link;
#endif

void setup() {
  MINIML_LINK_STREAM.begin(MINIML_LINK_BAUD);
#ifdef MINIML_KEEP_INPUT // what the link costs is measured beside a sketch with a driver
  __asm__ volatile("" ::"r"(take_feature));
#endif
#if MINIML_LINK
  device_link.begin(MINIML_LINK_STREAM, link_config);
#endif
}

void loop() {
  if (sample_is_complete) {
    sample_is_complete = false;
    MINIML_MODEL_VALUE output[MINIML_MODEL_CONSTANT(N_OUTPUTS)];
    MINIML_MODEL_RUN(sample, output);
    act_on(output);
  }
#if MINIML_LINK
  device_link.poll();
#endif
}
