/* The ATmega328P: libsimavr's instruction decoder with interrupts, reset and faults of our own.
 *
 * libsimavr 1.6 (GPL-3, a separate program from the Python package) decodes instructions with the
 * right number of cycles. Its interrupt entry takes no time, a flag raised before its enable bit is
 * lost, and two instructions instead of one run after SEI; so interrupts are served here.
 */
#ifndef MINIML_CORE_H
#define MINIML_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include <simavr/sim_avr.h>

#define MINIML_CLOCK_HZ 16000000u
#define MINIML_FLASH_BYTES 32768u
#define MINIML_RAM_END 0x8ffu

enum miniml_reset_cause {
  MINIML_RESET_POWER = 0x01,    /* PORF  */
  MINIML_RESET_EXTERNAL = 0x02, /* EXTRF */
  MINIML_RESET_WATCHDOG = 0x08  /* WDRF  */
};

struct miniml_io_write {
  avr_io_write_t write;
  void *parameter;
};

struct miniml_core {
  avr_t *avr;
  avr_io_t io;                   /* last in libsimavr's reset chain */
  avr_int_vector_t *vectors[64]; /* by priority, lowest number first */
  int vector_count;
  struct miniml_io_write io_writes[MAX_IOs]; /* libsimavr's own */
  int (*watchdog)(avr_io_t *io, uint32_t control, void *parameter);
  void (*on_reset)(void *context); /* peripherals and wires of ours start afresh */
  void *context;
  avr_cycle_count_t limit; /* run() stops at the first boundary from here on */
  uint32_t boot_start;     /* first byte address of the bootloader */
  bool in_bootloader;      /* since the reset no application instruction touched SP */
  bool sleeping_for_ever;  /* SLEEP with interrupts off: only a reset wakes it */
  bool was_reset;          /* a reset since the flag was last cleared */
  uint32_t resets;
  uint8_t reset_cause;              /* MCUSR after the last one */
  uint32_t side_effects;            /* I/O accesses that can't be repeated unnoticed */
  uint16_t sp_min;                  /* lowest SP of the running program since its reset */
  avr_cycle_count_t spl_written_at; /* tells push and call from OUT SPH, OUT SPL */
  bool sph_pending;
  uint32_t faults;      /* since the reset */
  char first_fault[96]; /* empty: none */
};

/* Makes the chip with erased flash; `boot_start` is the reset address (fuse BOOTRST). */
void miniml_core_init(struct miniml_core *core, uint32_t boot_start);

/* Runs until `cycle` or the first instruction boundary after it. */
void miniml_core_run(struct miniml_core *core, avr_cycle_count_t cycle);

void miniml_core_reset(struct miniml_core *core, enum miniml_reset_cause cause);

/* A flag or an enable bit changed: look at the interrupts after this instruction. */
void miniml_core_kick(struct miniml_core *core);

/* When the instruction at PC reaches its I/O register: IN and OUT in their only cycle, LDS, STS, LD
 * and ST in their second one (AVR Instruction Set Manual, DS40002198, cycle tables). */
avr_cycle_count_t miniml_core_access(const struct miniml_core *core);

/* Calls `timer` `cycles` after the beginning of this instruction; 0 cancels it. */
void miniml_core_call_after(struct miniml_core *core, avr_cycle_count_t cycles,
                            avr_cycle_timer_t timer, void *parameter);

/* Replaces what libsimavr does at a data address. */
void miniml_core_on_read(struct miniml_core *core, uint16_t address, avr_io_read_t read, void *p);
void miniml_core_on_write(struct miniml_core *core, uint16_t address, avr_io_write_t write,
                          void *p);

uint16_t miniml_core_sp(const struct miniml_core *core);

#endif
