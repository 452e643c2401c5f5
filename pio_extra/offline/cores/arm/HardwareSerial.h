// Serial over the chip's UART, polled: every call that looks at the port, and every wait
// for the transmitter, first moves what arrived into a ring of the official cores' size.
#ifndef HardwareSerial_h
#define HardwareSerial_h

#include "Stream.h"

#define SERIAL_8N1 0x06

class HardwareSerial : public Stream {
public:
  void begin(unsigned long baud, unsigned config = SERIAL_8N1);
  void end();
  int available() override;
  int read() override;
  int peek() override;
  int availableForWrite() override;
  void flush() override;
  size_t write(uint8_t value) override;
  using Print::write;
  operator bool() const {
    return true;
  }

  void receive();

private:
  static const unsigned kRingSize = 64;
  uint8_t ring_[kRingSize];
  uint8_t head_ = 0;
  uint8_t tail_ = 0;
};

extern HardwareSerial Serial;

#endif
