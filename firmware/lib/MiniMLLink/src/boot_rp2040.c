/* Into the RP2040's BOOTSEL mode by its ROM (datasheet RP2040, 2.8.3). */
#include "miniml_device.h"

#if MINIML_DEVICE_HAS_LOADER && defined(ARDUINO_ARCH_RP2040)

/* 2.8.3: halfwords in the ROM that point to the table of functions and to its look-up. */
#define FUNCTION_TABLE 0x14
#define TABLE_LOOKUP 0x18
#define RESET_TO_USB_BOOT ((uint32_t)'B' << 8 | 'U')

typedef void *(*lookup_function)(uintptr_t table, uint32_t code);
typedef void (*boot_function)(uint32_t activity_pins, uint32_t disabled_interfaces);

static uintptr_t rom_halfword(uintptr_t address) {
  /* Hidden from the compiler, which takes an access so near to 0 for a mistake. */
  __asm__("" : "+r"(address));
  return *(const volatile uint16_t *)address;
}

void miniml_device_boot(void) {
  const lookup_function look_up = (lookup_function)rom_halfword(TABLE_LOOKUP);
  void *const found = look_up(rom_halfword(FUNCTION_TABLE), RESET_TO_USB_BOOT);
  /* No activity LED; drive and PICOBOOT both. It resets the chip and does not return. */
  ((boot_function)found)(0, 0);
}

#endif
