/* The link on an Arduino stream: all that a sketch sees of it. */
#ifndef MINIMLLINK_H
#define MINIMLLINK_H

#include <Arduino.h>

#include "miniml_link.h"

class MiniMLLink {
public:
  /* Call from setup(), after the stream has begun; config lies in MINIML_FLASH. */
  void begin(Stream &stream, const miniml_link_config &config);

  /* Call from loop(): takes what has arrived and answers whole lines. Waits for nothing but room in
   * the stream's transmit buffer, and for the model. */
  void poll();

private:
  Stream *stream_;
  miniml_link link_;
};

#endif
