/* Flash and EEPROM in files that outlive the process, and Intel hex for bootloaders. */
#ifndef MINIML_MEMORY_FILE_H
#define MINIML_MEMORY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fills `memory` from the file; false (memory untouched) if it is missing or of another size. */
bool miniml_memory_load(const char *path, uint8_t *memory, size_t size);

/* Writes a temporary file and renames it; false with errno set. */
bool miniml_memory_save(const char *path, const uint8_t *memory, size_t size);

/* Reads Intel hex into `memory`; `lowest` gets the first address used. False: no such file, or not
 * Intel hex, or beyond `size`; the reason is in `reason`. */
bool miniml_memory_load_hex(const char *path, uint8_t *memory, size_t size, uint32_t *lowest,
                            const char **reason);

#endif
