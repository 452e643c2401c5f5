#include "memory_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool miniml_memory_load(const char *path, uint8_t *memory, size_t size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    return false;
  uint8_t *bytes = malloc(size + 1);
  bool whole = bytes && fread(bytes, 1, size + 1, file) == size;
  if (whole)
    memcpy(memory, bytes, size);
  free(bytes);
  fclose(file);
  return whole;
}

bool miniml_memory_save(const char *path, const uint8_t *memory, size_t size) {
  char fresh[4200];
  snprintf(fresh, sizeof fresh, "%s.new", path);
  FILE *file = fopen(fresh, "wb");
  if (file == NULL)
    return false;
  bool written = fwrite(memory, 1, size, file) == size;
  written = fclose(file) == 0 && written;
  if (written && rename(fresh, path) == 0)
    return true;
  unlink(fresh);
  return false;
}

/* One record `:CCAAAATT..SS` into `bytes`; its length or -1. */
static int parse_record(const char *line, uint8_t bytes[300]) {
  int count = 0;
  uint8_t sum = 0;
  if (*line++ != ':')
    return -1;
  for (unsigned value; count < 300 && sscanf(line, "%2x", &value) == 1; line += 2) {
    bytes[count++] = (uint8_t)value;
    sum = (uint8_t)(sum + value);
  }
  return count >= 5 && count == bytes[0] + 5 && sum == 0 ? count : -1;
}

bool miniml_memory_load_hex(const char *path, uint8_t *memory, size_t size, uint32_t *lowest,
                            const char **reason) {
  FILE *file = fopen(path, "r");
  char line[700];
  uint8_t record[300];
  uint32_t base = 0;
  *lowest = UINT32_MAX;
  *reason = file ? NULL : "can't be read";
  while (*reason == NULL && file && fgets(line, sizeof line, file)) {
    if (line[strspn(line, " \r\n")] == 0)
      continue;
    if (parse_record(line, record) < 0) {
      *reason = "is not Intel hex";
      break;
    }
    uint32_t address = base + (uint32_t)(record[1] << 8 | record[2]);
    if (record[3] == 1)
      break;
    if (record[3] == 2 || record[3] == 4) /* segment or upper half of the addresses */
      base = (uint32_t)(record[4] << 8 | record[5]) << (record[3] == 2 ? 4 : 16);
    if (record[3] != 0)
      continue;
    if (address + record[0] > size) {
      *reason = "does not fit into the flash";
      break;
    }
    memcpy(memory + address, record + 4, record[0]);
    if (address < *lowest)
      *lowest = address;
  }
  if (file)
    fclose(file);
  return *reason == NULL;
}
