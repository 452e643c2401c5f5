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

void miniml_line_put(miniml_link_line *line, char byte) {
  if (line->length < MINIML_LINK_LINE - TRAILER) {
    line->bytes[line->length++] = byte;
  }
}

static void miniml_line_put_text(miniml_link_line *line, const char *text) {
  for (char byte; (byte = MINIML_FLASH_CHAR(text)) != 0; text++) {
    miniml_line_put(line, byte > ' ' && byte <= '~' && byte != '*' ? byte : '_');
  }
}

void miniml_line_start(miniml_link_line *line, const char *sequence, const char *word) {
  line->bytes[0] = '!';
  line->bytes[1] = sequence[0];
  line->bytes[2] = sequence[1];
  line->bytes[3] = ' ';
  line->length = 4;
  miniml_line_put_text(line, word);
}

void miniml_line_put_field(miniml_link_line *line, const char *text) {
  miniml_line_put(line, ' ');
  miniml_line_put_text(line, text);
}

void miniml_line_put_id(miniml_link_line *line, const char *id) {
  miniml_line_put(line, ' ');
  for (uint8_t i = 0; i < 16; i++) {
    const char digit = MINIML_FLASH_CHAR(id + i);
    miniml_line_put(line, (char)(digit >= 'a' ? digit - ('a' - 'A') : digit));
  }
}

/* Without a look at the room: 4 digits at the end of a line always have it. */
static void miniml_line_append_hex(miniml_link_line *line, uint32_t value, uint8_t digits) {
  line->length = (uint8_t)(line->length + digits);
  for (char *to = line->bytes + line->length; digits; digits--) {
    const uint8_t digit = (uint8_t)value & 15;
    *--to = (char)(digit < 10 ? '0' + digit : 'A' - 10 + digit);
    value >>= 4;
  }
}

static void miniml_line_put_hex(miniml_link_line *line, uint32_t value, uint8_t digits) {
  if (line->length + digits <= MINIML_LINK_LINE - TRAILER) {
    miniml_line_append_hex(line, value, digits);
  }
}

void miniml_line_put_number(miniml_link_line *line, uint32_t value, uint8_t digits) {
  miniml_line_put(line, ' ');
  miniml_line_put_hex(line, value, digits);
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
  miniml_line_put(line, ' ');
  while (n) {
    miniml_line_put(line, digits[--n]);
  }
}

void miniml_line_finish(miniml_link_line *line) {
  const uint16_t crc = miniml_link_crc(line->bytes + 1, (uint8_t)(line->length - 1));
  line->bytes[line->length++] = '*';
  miniml_line_append_hex(line, crc, 4);
  line->bytes[line->length++] = '\n';
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
