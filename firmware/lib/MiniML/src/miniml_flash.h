/* Where constants live: PROGMEM on AVR, which can't address flash as data; const elsewhere. */
#ifndef MINIML_FLASH_H
#define MINIML_FLASH_H

#include <stdint.h>
#include <string.h>

#ifdef __AVR__
#include <avr/pgmspace.h>
#define MINIML_FLASH PROGMEM
#define MINIML_FLASH_I8(address) ((int8_t)pgm_read_byte(address))
#define MINIML_FLASH_CHAR(address) ((char)pgm_read_byte(address))
#define MINIML_FLASH_U16(address) pgm_read_word(address)
#define MINIML_FLASH_I32(address) ((int32_t)pgm_read_dword(address))
#define MINIML_FLASH_FLOAT(address) pgm_read_float(address)
#define MINIML_FLASH_COPY(to, from, size) memcpy_P((to), (from), (size))
#define MINIML_FLASH_LENGTH(text) strlen_P(text)

/* LPM Rd, Z+: 3 cycles with the step to the next byte, where pgm_read_byte and ++ take 5. */
static inline int8_t miniml_flash_next(const int8_t **at) {
  int8_t value;
  __asm__("lpm %0, %a1+" : "=r"(value), "+z"(*at));
  return value;
}

/* LD Rd, X+ likewise: avr-gcc steps back and forth around two loads in a row. */
static inline int8_t miniml_next(const int8_t **at) {
  int8_t value;
  __asm__("ld %0, %a1+" : "=r"(value), "+e"(*at) : "m"(**at));
  return value;
}
#else
#define MINIML_FLASH
#define MINIML_FLASH_I8(address) (*(address))
#define MINIML_FLASH_CHAR(address) (*(address))
#define MINIML_FLASH_U16(address) (*(address))
#define MINIML_FLASH_I32(address) (*(address))
#define MINIML_FLASH_FLOAT(address) (*(address))
#define MINIML_FLASH_COPY(to, from, size) memcpy((to), (from), (size))
#define MINIML_FLASH_LENGTH(text) strlen(text)

static inline int8_t miniml_flash_next(const int8_t **at) {
  return *(*at)++;
}

static inline int8_t miniml_next(const int8_t **at) {
  return *(*at)++;
}
#endif

#endif
