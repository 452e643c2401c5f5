/* The device's side of docs/PROTOCOL.md: bytes in, one answer out, fixed memory. */
#ifndef MINIML_LINK_H
#define MINIML_LINK_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MINIML_LINK_VERSION 1
/* A line with its line feed: one 64-byte receive buffer, one USB CDC packet. */
#define MINIML_LINK_LINE 62
/* Bytes of a LOAD or READ line, features of a FLOAT line. */
#define MINIML_LINK_LOAD_BYTES 21
#define MINIML_LINK_READ_BYTES 22
#define MINIML_LINK_FLOATS 5

/* TIME could not measure: no timer, or longer than it counts. */
#define MINIML_LINK_NOT_MEASURED 0xFFFFFFFFul

/* What the link has to know of a model; filled in by the sketch. */
typedef struct {
  uint16_t n_inputs;
  uint16_t n_outputs;
  uint8_t n_layers;
  int8_t *input; /* n_inputs bytes, owned by the sketch */
  const int8_t *(*run_layers)(const int8_t *in, uint8_t n_layers);
  uint16_t (*layer_width)(uint8_t layer);
  int8_t (*quantize)(uint16_t index, float x);
  /* In flash (PROGMEM on AVR): ids of at least 16 lower-case hex digits; the board's name. */
  const char *model_id;
  const char *build_id;
  const char *board;
} miniml_link_model;

/* What the link has to know of the board. */
typedef struct {
  uint32_t (*clock_hz)(void);
  /* Cycles of one call of run(), interrupts masked or as they are. */
  uint32_t (*cycles)(void (*run)(void), bool masked);
  uint32_t (*stack_used)(void);
  uint32_t (*stack_untouched)(void);
  void (*reset)(void); /* 0 where the port can reset the board */
} miniml_link_board;

typedef struct {
  const miniml_link_model *model;
  const miniml_link_board *board;
  const int8_t *result; /* of the last RUN or TIME; 0 before it */
  uint16_t last_crc;
  uint8_t last_sequence;
  uint8_t result_layer;
  uint8_t length; /* of line */
  uint8_t answer_length;
  bool greeted;
  bool overlong;
  bool reset_after_answer;
  char line[MINIML_LINK_LINE];
  char answer[MINIML_LINK_LINE];
} miniml_link;

void miniml_link_start(miniml_link *link, const miniml_link_model *model,
                       const miniml_link_board *board);

/* Take one byte from the host. Returns the length of the answer now in link->answer, or 0. */
uint8_t miniml_link_receive(miniml_link *link, char byte);

#ifdef __cplusplus
}
#endif

#endif
