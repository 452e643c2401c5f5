/* The device's side of docs/PROTOCOL.md without a port: bytes in, answers out.
 *
 * Plain C over miniml_device.h, so that a host can compile and fuzz it. Fixed memory; nothing
 * that a line says is trusted. */
#ifndef MINIML_LINK_H
#define MINIML_LINK_H

#include <miniml.h>

#include "miniml_device.h"
#include "miniml_link_text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the link has to know. The struct and its texts lie in MINIML_FLASH. */
typedef struct {
  const miniml_model *model;
  void *input;          /* n_inputs values in SRAM; the application may use them as well */
  const char *board;    /* upper case, as in boards.ini */
  const char *build_id; /* 64 hex digits */
} miniml_link_config;

typedef struct {
  miniml_link_config config;
  miniml_model model;
  const int8_t *output;      /* of the layer that ran last; floats are bytes here */
  uint8_t output_layer;      /* its number from 1 on; 0: nothing ran */
  bool collecting;           /* a '?' came, its line feed did not */
  bool greeted;              /* HELLO was said since the start */
  bool reset_requested;      /* to be done once the answer is out */
  bool answered;             /* `answer` is what a retry gets */
  uint8_t answered_sequence; /* of the request that it answers */
  uint16_t answered_crc;     /* likewise */
  miniml_link_line request;
  miniml_link_line answer;
#if MINIML_DEVICE_HAS_LOADER
  bool boot_requested; /* as reset_requested: into the chip's boot loader */
#endif
} miniml_link;

/* config lies in MINIML_FLASH. */
void miniml_link_start(miniml_link *link, const miniml_link_config *config);

/* Takes one byte from the host. The line to send if it ended a request, else 0; it stays valid
 * until the next byte. */
const miniml_link_line *miniml_link_receive(miniml_link *link, char byte);

#ifdef __cplusplus
}
#endif

#endif
