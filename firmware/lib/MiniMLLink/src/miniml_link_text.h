/* Hex digits and the CRC of the link. */
#ifndef MINIML_LINK_TEXT_H
#define MINIML_LINK_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-16/XMODEM: polynomial 0x1021, start 0. */
uint16_t miniml_link_crc(const char *text, uint8_t length);

/* Read exactly `digits` upper-case hex digits; false if one is something else. */
bool miniml_link_read_hex(const char *text, uint8_t digits, uint32_t *value);

/* Write `digits` upper-case hex digits; returns the end. */
char *miniml_link_write_hex(char *to, uint32_t value, uint8_t digits);

#ifdef __cplusplus
}
#endif

#endif
