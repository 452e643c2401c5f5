#include "line.h"

enum { DATA_BITS = 8 };

/* DS40002061B 20.8.3, Rslow and Rfast: the slowest and fastest sender that can still be heard. */
static bool within_limits(double sent_bit, double heard_bit, int samples) {
  const double s = samples, d = DATA_BITS, first = samples / 2, middle = samples / 2 + 1;
  double ratio = heard_bit / sent_bit; /* sender's rate to receiver's rate */
  double slow = (d + 1) * s / (s - 1 + d * s + first);
  double fast = (d + 2) * s / ((d + 1) * s + middle);
  return ratio > slow && ratio < fast;
}

static bool level(uint8_t byte, double bit) {
  if (bit < 0 || bit >= DATA_BITS + 1)
    return true; /* idle, stop bit */
  return bit >= 1 && (byte >> ((int)bit - 1) & 1);
}

int miniml_line_hear(uint8_t byte, double sent_bit, double heard_bit, int samples,
                     struct miniml_line_byte *heard) {
  if (within_limits(sent_bit, heard_bit, samples)) {
    heard[0] = (struct miniml_line_byte){byte, false};
    return 1;
  }
  int count = 0;
  const double step = heard_bit / sent_bit; /* the receiver's bit in the sender's bits */
  double edge = 0;
  while (edge < DATA_BITS + 1 && count < MINIML_LINE_MAX) {
    struct miniml_line_byte frame = {0, false};
    for (int bit = 0; bit < DATA_BITS; bit++)
      frame.byte |= (uint8_t)(level(byte, edge + (bit + 1.5) * step) << bit);
    double stop = edge + (DATA_BITS + 1.5) * step;
    frame.framing_error = !level(byte, stop);
    heard[count++] = frame;
    edge = stop;
    while (edge < DATA_BITS + 1 && !level(byte, edge)) /* a start bit is a falling edge: */
      edge += step / samples;                          /* first the line has to be high */
    while (edge < DATA_BITS + 1 && level(byte, edge))
      edge += step / samples;
  }
  return count;
}
