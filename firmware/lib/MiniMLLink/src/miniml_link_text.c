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
  if (line->length < MINIML_LINK_LINE) {
    line->bytes[line->length++] = byte;
  }
}

void miniml_line_start(miniml_link_line *line, const char *sequence) {
  line->bytes[0] = '!';
  line->bytes[1] = sequence[0];
  line->bytes[2] = sequence[1];
  line->length = 3;
}

void miniml_line_put_word(miniml_link_line *line, const char *text, uint8_t most) {
  char byte = ' ';
  do {
    miniml_line_put(line, byte);
    byte = MINIML_FLASH_CHAR(text++);
  } while (byte && most--);
}

static char hex_digit(uint8_t value) {
  value &= 15;
  return (char)(value < 10 ? '0' + value : 'A' - 10 + value);
}

static void put_hex(miniml_link_line *line, uint8_t byte) {
  miniml_line_put(line, hex_digit(byte >> 4));
  miniml_line_put(line, hex_digit(byte));
}

/* Inlined into its two callers it would take more of an AVR's flash. */
MINIML_NOINLINE void miniml_line_put_bytes(miniml_link_line *line, const void *bytes, uint8_t n) {
  const uint8_t *at = (const uint8_t *)bytes;
  miniml_line_put(line, ' ');
  while (n--) {
    put_hex(line, *at++);
  }
}

void miniml_line_put_number(miniml_link_line *line, const void *number, uint8_t size) {
  const uint8_t *at = (const uint8_t *)number + size;
  miniml_line_put(line, ' ');
  while (size--) {
    put_hex(line, *--at);
  }
}

void miniml_line_finish(miniml_link_line *line) {
  if (line->length > MINIML_LINK_LINE - TRAILER) {
    line->length = MINIML_LINK_LINE - TRAILER;
  }
  const uint16_t crc = miniml_link_crc(line->bytes + 1, (uint8_t)(line->length - 1));
  miniml_line_put(line, '*');
  put_hex(line, (uint8_t)(crc >> 8));
  put_hex(line, (uint8_t)crc);
  miniml_line_put(line, '\n');
}

const char *miniml_take_digits(const char *at, uint8_t digits, uint16_t *value) {
  *value = 0;
  while (digits--) {
    uint8_t digit = (uint8_t)(*at++ - '0');
    if (digit > 9) {
      digit = (uint8_t)(digit - ('A' - '0'));
      if (digit > 5) {
        return 0;
      }
      digit = (uint8_t)(digit + 10);
    }
    *value = (uint16_t)(*value << 4 | digit);
  }
  return at;
}

uint8_t miniml_unpack(char *text) {
  char *to = text;
  uint8_t upper = 0, left = 0;
  for (const char *from = text; *from; from++) {
    uint8_t lower = (uint8_t)*from & 0x3F;
    if (*from >= '{') {
      /* '{', '|' and '}' instead of '?', ' ' and '!'. */
      lower = (uint8_t)((*from + 4) & 0x1F) | 0x20;
    }
    if (left == 0) {
      upper = lower;
      left = 3;
    } else {
      upper = (uint8_t)(upper << 2);
      *to++ = (char)((upper & 0xC0) | lower);
      left--;
    }
  }
  return (uint8_t)(to - text);
}
