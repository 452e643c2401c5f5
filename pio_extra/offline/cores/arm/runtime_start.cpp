// From reset to main(): .data, .bss, constructors. Called by the chip's Reset_Handler.
#include <stdint.h>

#include "chip.h"

extern "C" {

extern uint32_t _sidata, _sdata, _edata, _sbss, _ebss;
extern void (*__init_array_start[])(void);
extern void (*__init_array_end[])(void);
int main(void);

void chip_runtime_start(void) {
  const uint32_t *from = &_sidata;
  for (uint32_t *to = &_sdata; to < &_edata;)
    *to++ = *from++;
  for (uint32_t *to = &_sbss; to < &_ebss;)
    *to++ = 0;
  chip_clock_begin();
  for (void (**each)(void) = __init_array_start; each < __init_array_end; each++)
    (*each)();
  main();
  for (;;) {
  }
}
}
