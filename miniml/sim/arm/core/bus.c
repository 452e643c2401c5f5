/* Memory and peripherals: who answers at an address. */
#include "core.h"

#include <stdlib.h>

/* Cortex-M0+'s I/O port answers within the first cycle (DDI 0484C, table 3-1, note b);
 * RP2040 has its SIO there. */
static void io_port(struct core *core, uint32_t address) {
  if (!core->m4 && address >> 28 == 0xD && core->pending_cycles > 1)
    core->pending_cycles--;
}

static uint64_t on_bus_read(void *handle, uint64_t offset, unsigned size, void *user) {
  (void)handle;
  struct core *core = ((struct window *)user)->core;
  uint32_t address = ((struct window *)user)->address + (uint32_t)offset;
  if (address >> 20 == 0xE00 && address < 0xE0040000)
    return system_read(core, address & ~3u) >> (address & 3) * 8;
  io_port(core, address);
  uint32_t value;
  if (polling_read(core, address, &value))
    return value;
  return core->bus_read(address, size);
}

static void on_bus_write(void *handle, uint64_t offset, unsigned size, uint64_t value, void *user) {
  (void)handle;
  struct core *core = ((struct window *)user)->core;
  uint32_t address = ((struct window *)user)->address + (uint32_t)offset;
  if (address >> 20 == 0xE00 && address < 0xE0040000)
    system_write(core, address, size, (uint32_t)value);
  else {
    io_port(core, address);
    core->bus_write(address, size, (uint32_t)value);
  }
}

/* Tells the hook where the host keeps this memory; unicorn maps the same bytes. */
void core_map_code(struct core *core, uint32_t address, uint32_t size, uint8_t *bytes) {
  for (uint32_t offset = 0; offset < size; offset += 1u << PAGE_SHIFT)
    core->pages[(address + offset) >> PAGE_SHIFT] = bytes + offset;
}

int core_map_bus(struct core *core, uint32_t address, uint32_t size) {
  unsigned i = 0;
  while (i < MAX_WINDOWS && core->windows[i])
    i++;
  if (i == MAX_WINDOWS)
    return 1;
  struct window *window = malloc(sizeof *window);
  window->core = core;
  window->address = address;
  core->windows[i] = window;
  return core->engine.mmio_map(core->engine.handle, address, size, (void *)on_bus_read, window,
                               (void *)on_bus_write, window);
}
