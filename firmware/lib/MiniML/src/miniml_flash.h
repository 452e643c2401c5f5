/* Where constants live: PROGMEM on AVR, which can't address flash as data; const elsewhere. */
#ifndef MINIML_FLASH_H
#define MINIML_FLASH_H

#include <stdint.h>
#include <string.h>

#ifdef __AVR__
#include <avr/pgmspace.h>
#define MINIML_FLASH PROGMEM
#define MINIML_FLASH_I8(address) ((int8_t)pgm_read_byte(address))
#define MINIML_FLASH_I32(address) ((int32_t)pgm_read_dword(address))
#define MINIML_FLASH_FLOAT(address) pgm_read_float(address)
#define MINIML_FLASH_COPY(to, from, size) memcpy_P((to), (from), (size))
#else
#define MINIML_FLASH
#define MINIML_FLASH_I8(address) (*(address))
#define MINIML_FLASH_I32(address) (*(address))
#define MINIML_FLASH_FLOAT(address) (*(address))
#define MINIML_FLASH_COPY(to, from, size) memcpy((to), (from), (size))
#endif

#endif
