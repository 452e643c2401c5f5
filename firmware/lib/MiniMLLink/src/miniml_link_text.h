/* The characters of docs/PROTOCOL.md: CRC, hex, packed bytes, lines of bounded length. */
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

/* '!' and the two digits of the request. */
void miniml_line_start(miniml_link_line *line, const char *sequence);
void miniml_line_put(miniml_link_line *line, char byte);
/* A space, then at most `most` characters of a text in MINIML_FLASH. */
void miniml_line_put_word(miniml_link_line *line, const char *text, uint8_t most);
/* A space, then two hex digits a byte, the first one first. */
void miniml_line_put_bytes(miniml_link_line *line, const void *bytes, uint8_t n);
/* A space, then a number of `size` bytes in hex; every supported core is little-endian. */
void miniml_line_put_number(miniml_link_line *line, const void *number, uint8_t size);
/* CRC and line feed. */
void miniml_line_finish(miniml_link_line *line);

/* Requests. */

/* What follows after exactly `digits` (at most 4) upper-case hex digits; 0: there are others. */
const char *miniml_take_digits(const char *at, uint8_t digits, uint16_t *value);
/* Turns packed bytes into themselves, in place; returns how many. Three bytes lie in four
 * characters: the two upper bits of each, then the six lower bits of each. No text is wrong: what
 * packs nothing stands for its lower six bits. */
uint8_t miniml_unpack(char *text);

#ifdef __cplusplus
}
#endif

#endif
