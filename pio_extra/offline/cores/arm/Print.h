// Arduino's Print: text and numbers out of a byte sink.
#ifndef Print_h
#define Print_h

#include <stddef.h>
#include <stdint.h>
#include <string.h>

class __FlashStringHelper;
#define F(text) (reinterpret_cast<const __FlashStringHelper *>(text))

class Print;

class Printable {
public:
  virtual size_t printTo(Print &out) const = 0;
};

class Print {
public:
  virtual size_t write(uint8_t value) = 0;
  virtual size_t write(const uint8_t *data, size_t size);
  virtual int availableForWrite() {
    return 0;
  }
  virtual void flush() {
  }
  size_t write(const char *text) {
    return write(text, strlen(text));
  }
  size_t write(const char *data, size_t size) {
    return write(reinterpret_cast<const uint8_t *>(data), size);
  }

  size_t print(const __FlashStringHelper *text) {
    return write(reinterpret_cast<const char *>(text));
  }
  size_t print(const char *text) {
    return write(text);
  }
  size_t print(char value) {
    return write(static_cast<uint8_t>(value));
  }
  size_t print(unsigned char value, int base = 10) {
    return print(static_cast<unsigned long long>(value), base);
  }
  size_t print(int value, int base = 10) {
    return print(static_cast<long long>(value), base);
  }
  size_t print(unsigned int value, int base = 10) {
    return print(static_cast<unsigned long long>(value), base);
  }
  size_t print(long value, int base = 10) {
    return print(static_cast<long long>(value), base);
  }
  size_t print(unsigned long value, int base = 10) {
    return print(static_cast<unsigned long long>(value), base);
  }
  size_t print(long long value, int base = 10);
  size_t print(unsigned long long value, int base = 10);
  size_t print(double value, int digits = 2);
  size_t print(const Printable &value) {
    return value.printTo(*this);
  }

  size_t println() {
    return write("\r\n", 2);
  }
  template <class T> size_t println(const T &value) {
    const size_t written = print(value);
    return written + println();
  }
  template <class T> size_t println(const T &value, int base_or_digits) {
    const size_t written = print(value, base_or_digits);
    return written + println();
  }
};

#endif
