#include "Stream.h"

#include "Arduino.h"

size_t Stream::readBytes(char *buffer, size_t length) {
  size_t count = 0;
  unsigned long since = millis();
  while (count < length && millis() - since < timeout_) {
    const int value = read();
    if (value < 0)
      continue;
    buffer[count++] = static_cast<char>(value);
    since = millis();
  }
  return count;
}
