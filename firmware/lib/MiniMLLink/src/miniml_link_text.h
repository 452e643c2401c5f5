/* The characters of docs/PROTOCOL.md: CRC, hex fields, lines of bounded length. */
#ifndef MINIML_LINK_TEXT_H
#define MINIML_LINK_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A line with its line feed: an AVR core buffers 64 bytes, and a USB CDC packet holds as many. */
#define MINIML_LINK_LINE 62

typedef struct {
  uint8_t length;
  char bytes[MINIML_LINK_LINE];
} miniml_link_line;

/* CRC-16/XMODEM: polynomial 0x1021, start 0. */
uint16_t miniml_link_crc(const char *bytes, uint8_t length);

/* Answers: what would leave no room for the CRC and the line feed is dropped. */

/* "!SS " with the two digits of the request, then a word in MINIML_FLASH. */
void miniml_line_start(miniml_link_line *line, const char *sequence, const char *word);
void miniml_line_put(miniml_link_line *line, char byte);
/* A space, then a text in MINIML_FLASH; what could end a field becomes an underscore. */
void miniml_line_put_field(miniml_link_line *line, const char *text);
/* A space, then the first 16 of 64 hex digits in MINIML_FLASH, in upper case. */
void miniml_line_put_id(miniml_link_line *line, const char *id);
/* A space, then hex digits. */
void miniml_line_put_number(miniml_link_line *line, uint32_t value, uint8_t digits);
/* A space, then a decimal number. */
void miniml_line_put_decimal(miniml_link_line *line, uint32_t value);
/* Two hex digits each. */
void miniml_line_put_bytes(miniml_link_line *line, const int8_t *values, uint8_t n);
/* CRC and line feed. */
void miniml_line_finish(miniml_link_line *line);

/* Requests: both move `at` on if they find what they look for. */

/* A text in MINIML_FLASH before a space or the line's end. */
bool miniml_take_word(const char **at, const char *word);
/* Exactly `digits` upper-case hex digits. */
bool miniml_take_digits(const char **at, uint8_t digits, uint32_t *value);

#ifdef __cplusplus
}
#endif

#endif
