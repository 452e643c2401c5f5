#include "miniml_link_text.h"

#include <miniml.h>

/* "*CCCC" and the line feed. */
#define TRAILER 6

uint16_t miniml_link_crc(const char *bytes, uint8_t length) {
  uint16_t crc = 0;
  while (length--) {
    /* Bytewise form of the division, as avr-libc documents it for _crc_xmodem_update. */
    crc = (uint16_t)((crc >> 8) | (crc << 8));
    crc ^= (uint8_t)*bytes++;
    crc ^= (uint16_t)((crc & 0xFF) >> 4);
    crc ^= (uint16_t)(crc << 12);
    crc ^= (uint16_t)((crc & 0xFF) << 5);
  }
  return crc;
}

void miniml_line_start(miniml_link_line *line, const char *sequence) {
  line->bytes[0] = '!';
  line->bytes[1] = sequence[0];
  line->bytes[2] = sequence[1];
  line->bytes[3] = ' ';
  line->length = 4;
}

void miniml_line_put(miniml_link_line *line, char byte) {
  if (line->length < MINIML_LINK_LINE - TRAILER) {
    line->bytes[line->length++] = byte;
  }
}

void miniml_line_put_field(miniml_link_line *line, const char *text) {
  for (char byte; (byte = MINIML_FLASH_CHAR(text)) != 0; text++) {
    miniml_line_put(line, byte > ' ' && byte <= '~' && byte != '*' ? byte : '_');
  }
}

void miniml_line_put_id(miniml_link_line *line, const char *id) {
  for (uint8_t i = 0; i < 16; i++) {
    const char digit = MINIML_FLASH_CHAR(id + i);
    miniml_line_put(line, (char)(digit >= 'a' ? digit - ('a' - 'A') : digit));
  }
}

static char miniml_link_digit(uint8_t value) {
  value &= 15;
  return (char)(value < 10 ? '0' + value : 'A' - 10 + value);
}

void miniml_line_put_hex(miniml_link_line *line, uint32_t value, uint8_t digits) {
  while (digits--) {
    miniml_line_put(line, miniml_link_digit((uint8_t)(value >> (4 * digits))));
  }
}

void miniml_line_put_bytes(miniml_link_line *line, const int8_t *values, uint8_t n) {
  while (n--) {
    miniml_line_put_hex(line, (uint8_t)*values++, 2);
  }
}

void miniml_line_put_decimal(miniml_link_line *line, uint32_t value) {
  char digits[10];
  uint8_t n = 0;
  do {
    digits[n++] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  while (n) {
    miniml_line_put(line, digits[--n]);
  }
}

void miniml_line_finish(miniml_link_line *line) {
  const uint16_t crc = miniml_link_crc(line->bytes + 1, (uint8_t)(line->length - 1));
  char *end = line->bytes + line->length;
  *end++ = '*';
  for (int8_t shift = 12; shift >= 0; shift = (int8_t)(shift - 4)) {
    *end++ = miniml_link_digit((uint8_t)(crc >> shift));
  }
  *end = '\n';
  line->length = (uint8_t)(line->length + TRAILER);
}

bool miniml_take_word(const char **at, const char *word) {
  const char *next = *at;
  for (char byte; (byte = MINIML_FLASH_CHAR(word)) != 0; word++) {
    if (*next++ != byte) {
      return false;
    }
  }
  if (*next != 0 && *next != ' ') {
    return false;
  }
  *at = next;
  return true;
}

bool miniml_take_space(const char **at) {
  if (**at != ' ') {
    return false;
  }
  (*at)++;
  return true;
}

bool miniml_take_digits(const char **at, uint8_t digits, uint32_t *value) {
  *value = 0;
  while (digits--) {
    const char byte = **at;
    uint8_t digit;
    if (byte >= '0' && byte <= '9') {
      digit = (uint8_t)(byte - '0');
    } else if (byte >= 'A' && byte <= 'F') {
      digit = (uint8_t)(byte - 'A' + 10);
    } else {
      return false;
    }
    *value = *value << 4 | digit;
    (*at)++;
  }
  return true;
}

bool miniml_take_number(const char **at, uint8_t digits, uint16_t *value) {
  uint32_t wide;
  if (!miniml_take_space(at) || !miniml_take_digits(at, digits, &wide)) {
    return false;
  }
  *value = (uint16_t)wide;
  return true;
}
