// Arduino's Stream: Print plus bytes in.
#ifndef Stream_h
#define Stream_h

#include "Print.h"

class Stream : public Print {
public:
  virtual int available() = 0;
  virtual int read() = 0;
  virtual int peek() = 0;

  void setTimeout(unsigned long milliseconds) {
    timeout_ = milliseconds;
  }
  unsigned long getTimeout() const {
    return timeout_;
  }
  size_t readBytes(char *buffer, size_t length);
  size_t readBytes(uint8_t *buffer, size_t length) {
    return readBytes(reinterpret_cast<char *>(buffer), length);
  }

private:
  unsigned long timeout_ = 1000;
};

#endif
