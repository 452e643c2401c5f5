/* For TIME 2: a run that takes a known number of cycles on the core that a board should have. */
#ifndef MINIML_KNOWN_SEQUENCE_H
#define MINIML_KNOWN_SEQUENCE_H

#include <miniml.h>

#ifdef __AVR__

#define MINIML_TIME_LAST 2

/* Eight SBIW: 2 cycles each on an ATmega (AVR Instruction Set Manual), 1 on an LGT8F328P, which
 * sits on some Nano clones and runs the same code. */
MINIML_NOINLINE static const int8_t *miniml_known_sequence(const int8_t *in, uint8_t n_layers) {
  (void)n_layers;
  __asm__ volatile(".rept 8 \n\t"
                   "sbiw %0, 1 \n\t"
                   ".endr"
                   : "+w"(in));
  return in;
}

#else

#define MINIML_TIME_LAST 1
#define miniml_known_sequence 0

#endif

#endif
