#include "miniml_link_text.h"

uint16_t miniml_link_crc(const char *text, uint8_t length) {
  uint16_t crc = 0;
  while (length-- != 0) {
    /* Bytewise form of the division, as avr-libc documents it for _crc_xmodem_update. */
    crc = (uint16_t)((crc >> 8) | (crc << 8));
    crc ^= (uint8_t)*text++;
    crc ^= (uint16_t)((crc & 0xFF) >> 4);
    crc ^= (uint16_t)(crc << 12);
    crc ^= (uint16_t)((crc & 0xFF) << 5);
  }
  return crc;
}

bool miniml_link_read_hex(const char *text, uint8_t digits, uint32_t *value) {
  uint32_t result = 0;
  while (digits-- != 0) {
    const char c = *text++;
    uint8_t digit;
    if (c >= '0' && c <= '9') {
      digit = (uint8_t)(c - '0');
    } else if (c >= 'A' && c <= 'F') {
      digit = (uint8_t)(c - 'A' + 10);
    } else {
      return false;
    }
    result = (result << 4) | digit;
  }
  *value = result;
  return true;
}

char *miniml_link_write_hex(char *to, uint32_t value, uint8_t digits) {
  for (uint8_t i = digits; i-- != 0;) {
    const uint8_t digit = value & 0xF;
    to[i] = (char)(digit < 10 ? '0' + digit : 'A' + digit - 10);
    value >>= 4;
  }
  return to + digits;
}
