#include "Arduino.h"

extern "C" void yield(void) {
  Serial.receive();
}

int main() {
  chip_time_begin();
  setup();
  for (;;)
    loop();
}
