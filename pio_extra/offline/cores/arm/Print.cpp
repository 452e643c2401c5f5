#include "Print.h"

#include <math.h>

size_t Print::write(const uint8_t *data, size_t size) {
  size_t written = 0;
  while (written < size && write(data[written]) == 1)
    written++;
  return written;
}

size_t Print::print(unsigned long long value, int base) {
  if (base < 2)
    base = 10;
  char digits[8 * sizeof value];
  size_t start = sizeof digits;
  do {
    const unsigned digit = static_cast<unsigned>(value % static_cast<unsigned>(base));
    digits[--start] = static_cast<char>(digit < 10 ? '0' + digit : 'A' + digit - 10);
    value /= static_cast<unsigned>(base);
  } while (value != 0);
  return write(digits + start, sizeof digits - start);
}

size_t Print::print(long long value, int base) {
  // Arduino prints a minus sign in base 10 only, and two's complement of a long elsewhere.
  if (base != 10)
    return print(static_cast<unsigned long>(value), base);
  if (value >= 0)
    return print(static_cast<unsigned long long>(value), base);
  const size_t written = write('-');
  return written + print(0ULL - static_cast<unsigned long long>(value), base);
}

size_t Print::print(double value, int digits) {
  if (isnan(value))
    return print("nan");
  if (isinf(value))
    return print("inf");
  if (fabs(value) > 4294967040.0)
    return print("ovf");
  size_t written = 0;
  if (value < 0) {
    written += write('-');
    value = -value;
  }
  double rounding = 0.5;
  for (int i = 0; i < digits; i++)
    rounding /= 10.0;
  value += rounding;
  unsigned long whole = static_cast<unsigned long>(value);
  double rest = value - static_cast<double>(whole);
  written += print(whole);
  if (digits > 0)
    written += write('.');
  while (digits-- > 0) {
    rest *= 10.0;
    const unsigned digit = static_cast<unsigned>(rest);
    written += print(digit);
    rest -= digit;
  }
  return written;
}
