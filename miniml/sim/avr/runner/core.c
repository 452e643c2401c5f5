#include "core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/sim_core.h>

#define MCUSR 0x54
#define SMCR 0x53
#define INTERRUPT_ENTRY_CYCLES 4 /* DS40002061B 7.7.1: "four clock cycles minimum" */
#define WAKE_UP_CYCLES 4         /* same: "increased by four clock cycles" when asleep */

static struct miniml_core *the_core; /* libsimavr's logger and run hook carry no context */

uint16_t miniml_core_sp(const struct miniml_core *core) {
  return (uint16_t)(core->avr->data[R_SPL] | core->avr->data[R_SPH] << 8);
}

static void note_fault(struct miniml_core *core, const char *what) {
  avr_t *avr = core->avr;
  core->faults++;
  if (core->first_fault[0] == 0)
    snprintf(core->first_fault, sizeof core->first_fault,
             "%s at pc 0x%04x, opcode 0x%04x, sp 0x%04x", what, avr->pc,
             avr->flash[avr->pc] | avr->flash[avr->pc + 1] << 8, miniml_core_sp(core));
}

static void log_message(avr_t *avr, const int level, const char *format, va_list arguments) {
  char text[256];
  if (level > LOG_ERROR || the_core == NULL || avr != the_core->avr)
    return;
  vsnprintf(text, sizeof text, format, arguments);
  if (strstr(text, "Invalid Opcode"))
    note_fault(the_core, "reserved opcode");
  else if (strstr(text, "Invalid write address") || strstr(text, "Invalid read address"))
    note_fault(the_core, "access beyond the SRAM");
}

static bool is_flagged(const struct miniml_core *core, const avr_int_vector_t *vector) {
  return vector->raised.reg ? avr_regbit_get(core->avr, vector->raised) : vector->pending;
}

static avr_int_vector_t *next_interrupt(const struct miniml_core *core) {
  for (int i = 0; i < core->vector_count; i++) {
    avr_int_vector_t *vector = core->vectors[i];
    if (avr_regbit_get(core->avr, vector->enable) && is_flagged(core, vector))
      return vector;
  }
  return NULL;
}

/* libsimavr's queue of raised vectors: the flags themselves tell the same, and a vector that stays
 * `pending` there would swallow its next flag. */
static void empty_queue(avr_t *avr) {
  avr_int_pending_t *queue = &avr->interrupts.pending;
  for (; queue->read != queue->write; queue->read = (queue->read + 1) % avr_int_pending_fifo_size)
    if (queue->buffer[queue->read]->raised.reg)
      queue->buffer[queue->read]->pending = 0;
}

static void serve_interrupts(struct miniml_core *core) {
  avr_t *avr = core->avr;
  if (!avr->sreg[S_I]) {
    avr->interrupt_state = 0;
    return;
  }
  if (avr->interrupt_state == -2) { /* SEI, RETI, OUT SREG: one more instruction runs first */
    avr->interrupt_state = -1;
    return;
  }
  avr_int_vector_t *vector = next_interrupt(core);
  avr->interrupt_state = 0;
  if (vector == NULL)
    return;
  _avr_push_addr(avr, avr->pc);
  avr_sreg_set(avr, S_I, 0);
  avr->pc = (uint32_t)vector->vector * avr->vector_size;
  avr->cycle += INTERRUPT_ENTRY_CYCLES;
  avr_clear_interrupt(avr, vector);
}

static void sleep_until_event(struct miniml_core *core, avr_cycle_count_t next_event) {
  avr_t *avr = core->avr;
  if (avr->sreg[S_I] && next_interrupt(core)) {
    avr->state = cpu_Running;
    avr->interrupt_state = 1;
    avr->cycle += WAKE_UP_CYCLES;
    return;
  }
  core->sleeping_for_ever = !avr->sreg[S_I];
  avr_cycle_count_t left = core->limit > avr->cycle ? core->limit - avr->cycle : 0;
  avr->cycle += next_event < left ? next_event : left;
}

static void step(avr_t *avr) {
  struct miniml_core *core = the_core;
  avr_flashaddr_t pc = avr->pc;
  if (avr->state == cpu_Running)
    pc = avr_run_one(avr);
  if (avr->state == cpu_Sleeping && !(avr->data[SMCR] & 1))
    avr->state = cpu_Running; /* SE is 0: SLEEP does nothing (10.11.1) */
  else if (avr->state != cpu_Running && avr->state != cpu_Sleeping)
    avr->state = cpu_Running; /* libsimavr "crashed": silicon goes on, status tells the fault */
  avr->pc = pc;
  avr_cycle_count_t next_event = avr_cycle_timer_process(avr);
  if (avr->interrupts.pending.read != avr->interrupts.pending.write)
    empty_queue(avr);
  if (avr->state == cpu_Sleeping)
    sleep_until_event(core, next_event);
  if (avr->interrupt_state)
    serve_interrupts(core);
}

void miniml_core_run(struct miniml_core *core, avr_cycle_count_t cycle) {
  avr_t *avr = core->avr;
  core->limit = cycle;
  while (avr->cycle < cycle && !core->was_reset) {
    avr->run_cycle_limit = cycle - avr->cycle;
    avr_cycle_timer_process(avr); /* takes the new limit into account */
    avr->run(avr);                /* `step`, or the watchdog's reset */
  }
}

void miniml_core_kick(struct miniml_core *core) {
  if (core->avr->sreg[S_I] && core->avr->interrupt_state == 0)
    core->avr->interrupt_state = 1;
}

static void enable_bits_changed(struct avr_irq_t *irq, uint32_t value, void *core) {
  (void)irq;
  (void)value;
  miniml_core_kick(core);
}

avr_cycle_count_t miniml_core_access(const struct miniml_core *core) {
  const avr_t *avr = core->avr;
  bool in_or_out = (avr->flash[avr->pc + 1] & 0xf0) == 0xb0;
  return avr->cycle + (in_or_out ? 0 : 1);
}

static void watch_sp(struct miniml_core *core) {
  if (core->in_bootloader && core->avr->pc < core->boot_start) {
    core->in_bootloader = false;
    core->sp_min = MINIML_RAM_END;
  }
  uint16_t sp = miniml_core_sp(core);
  if (sp < core->sp_min)
    core->sp_min = sp;
}

/* PUSH, CALL and interrupts write SPL and then SPH within one instruction; programs write SPH and
 * then SPL, with a value in between that never was a stack pointer. */
static void write_spl(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_core *core = parameter;
  avr->data[address] = value;
  core->spl_written_at = avr->cycle;
  if (core->sph_pending)
    watch_sp(core);
  core->sph_pending = false;
}

static void write_sph(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_core *core = parameter;
  avr->data[address] = value;
  if (core->spl_written_at == avr->cycle)
    watch_sp(core);
  else
    core->sph_pending = true;
}

/* libsimavr renews the length of its instruction loop whenever a timer is set: a program that does
 * so in a loop (WDR) would never come back. One instruction more, then the length is set anew. */
static void leave_loop(avr_t *avr) {
  avr->run_cycle_count = 1;
}

void miniml_core_call_after(struct miniml_core *core, avr_cycle_count_t cycles,
                            avr_cycle_timer_t timer, void *parameter) {
  if (cycles)
    avr_cycle_timer_register(core->avr, cycles, timer, parameter);
  else
    avr_cycle_timer_cancel(core->avr, timer, parameter);
  leave_loop(core->avr);
}

static void write_through(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_io_write *own = parameter;
  own->write(avr, address, value, own->parameter);
  leave_loop(avr);
}

static int control_watchdog(avr_io_t *io, uint32_t control, void *parameter) {
  int result = the_core->watchdog(io, control, parameter);
  leave_loop(io->avr);
  return result;
}

static void keep_loops_short(struct miniml_core *core) {
  avr_t *avr = core->avr;
  for (int i = 0; i < MAX_IOs; i++) {
    if (avr->io[i].w.c == NULL)
      continue;
    core->io_writes[i] = (struct miniml_io_write){avr->io[i].w.c, avr->io[i].w.param};
    avr->io[i].w.c = write_through;
    avr->io[i].w.param = &core->io_writes[i];
  }
  for (avr_io_t *io = avr->io_port; io; io = io->next)
    if (strcmp(io->kind, "watchdog") == 0) {
      core->watchdog = io->ioctl;
      io->ioctl = control_watchdog;
    }
}

void miniml_core_on_read(struct miniml_core *core, uint16_t address, avr_io_read_t read, void *p) {
  core->avr->io[AVR_DATA_TO_IO(address)].r.c = read;
  core->avr->io[AVR_DATA_TO_IO(address)].r.param = p;
}

void miniml_core_on_write(struct miniml_core *core, uint16_t address, avr_io_write_t write,
                          void *p) {
  core->avr->io[AVR_DATA_TO_IO(address)].w.c = write;
  core->avr->io[AVR_DATA_TO_IO(address)].w.param = p;
}

static void after_reset(struct avr_io_t *io) {
  (void)io;
  struct miniml_core *core = the_core;
  core->was_reset = true;
  core->resets++;
  core->reset_cause = core->avr->data[MCUSR]; /* the watchdog has set its flag */
  core->in_bootloader = core->boot_start < MINIML_FLASH_BYTES;
  core->sleeping_for_ever = false;
  core->sp_min = MINIML_RAM_END;
  core->sph_pending = false;
  core->faults = 0;
  core->first_fault[0] = 0;
  if (core->on_reset)
    core->on_reset(core->context);
}

void miniml_core_reset(struct miniml_core *core, enum miniml_reset_cause cause) {
  avr_reset(core->avr);
  core->avr->data[MCUSR] = (uint8_t)cause;
  core->reset_cause = (uint8_t)cause;
}

static int by_priority(const void *left, const void *right) {
  return (*(avr_int_vector_t *const *)left)->vector - (*(avr_int_vector_t *const *)right)->vector;
}

/* A program that runs wild may read or write any 16-bit address: room for all of them. */
static uint8_t *widened(uint8_t *memory, size_t used, uint8_t filler) {
  uint8_t *wide = realloc(memory, 0x10000 + 4);
  if (wide == NULL)
    abort();
  memset(wide + used, filler, 0x10000 + 4 - used);
  return wide;
}

void miniml_core_init(struct miniml_core *core, uint32_t boot_start) {
  avr_t *avr = avr_make_mcu_by_name("atmega328p");
  if (avr == NULL || avr_init(avr) != 0) {
    fprintf(stderr, "libsimavr does not know the atmega328p\n");
    exit(4);
  }
  avr->frequency = MINIML_CLOCK_HZ;
  avr->data = widened(avr->data, avr->ramend + 1u, 0);
  avr->flash = widened(avr->flash, avr->flashend + 3u, 0xff);
  avr->reset_pc = boot_start < MINIML_FLASH_BYTES ? boot_start : 0;
  avr->run = step;
  core->avr = avr;
  core->boot_start = boot_start;
  the_core = core;
  avr_global_logger_set(log_message);
  core->vector_count = avr->interrupts.vector_count;
  memcpy(core->vectors, avr->interrupts.vector, sizeof core->vectors);
  qsort(core->vectors, (size_t)core->vector_count, sizeof core->vectors[0], by_priority);
  for (int i = 0; i < core->vector_count; i++) /* EIMSK, PCICR, ADCSRA, ...: flag before enable */
    avr_irq_register_notify(
        avr_iomem_getirq(avr, core->vectors[i]->enable.reg, NULL, AVR_IOMEM_IRQ_ALL),
        enable_bits_changed, core);
  keep_loops_short(core);
  miniml_core_on_write(core, R_SPL, write_spl, core);
  miniml_core_on_write(core, R_SPH, write_sph, core);
  core->io = (avr_io_t){.kind = "miniml", .avr = avr, .reset = after_reset};
  avr_io_t *last = avr->io_port;
  while (last->next)
    last = last->next;
  last->next = &core->io;
}
