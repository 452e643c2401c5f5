/* What a receiver makes of a frame that was sent at another rate than its own. */
#ifndef MINIML_LINE_H
#define MINIML_LINE_H

#include <stdbool.h>
#include <stdint.h>

#define MINIML_LINE_MAX 16

struct miniml_line_byte {
  uint8_t byte;
  bool framing_error;
};

/* One frame 8N1 of `sent_bit` cycles a bit on an otherwise silent line, heard with `heard_bit`
 * cycles a bit and `samples` (8 or 16) samples a bit. Returns how many frames were heard; within
 * the limits of DS40002061B table 20-2 it is the one that was sent. At most MINIML_LINE_MAX. */
int miniml_line_hear(uint8_t byte, double sent_bit, double heard_bit, int samples,
                     struct miniml_line_byte *heard);

#endif
