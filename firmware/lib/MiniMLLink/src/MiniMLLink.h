/* The link on an Arduino stream: all that a sketch sees of it. */
#ifndef MINIMLLINK_H
#define MINIMLLINK_H

#include <Arduino.h>

#include "miniml_link.h"

class MiniMLLink {
public:
  /* clock_hz: what to report where the core can't tell its clock. */
  MiniMLLink(Stream &stream, const miniml_link_model &model, uint32_t clock_hz);

  /* Call from setup(), after the stream has begun. */
  void begin();

  /* Call from loop(): takes what has arrived, answers whole lines, never waits. */
  void poll();

private:
  Stream &stream_;
  const miniml_link_model &model_;
  miniml_link link_;
};

#endif
