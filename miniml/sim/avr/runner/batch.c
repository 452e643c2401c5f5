#include "batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "idle.h"
#include "memory_file.h"
#include "timer.h"
#include "uart.h"

#define GPIOR0 0x3e /* data address; a program marks a moment by writing to it */

struct event {
  avr_cycle_count_t cycle;
  uint8_t value;
};

struct events {
  struct event *list;
  size_t count, room;
};

struct batch {
  struct miniml_core core;
  struct miniml_timers timers;
  struct miniml_uart uart;
  struct events marks, sent;
};

static struct batch batch;

static void add(struct events *events, avr_cycle_count_t cycle, uint8_t value) {
  if (events->count == events->room) {
    events->room = events->room ? 2 * events->room : 1024;
    events->list = realloc(events->list, events->room * sizeof events->list[0]);
    if (events->list == NULL)
      abort();
  }
  events->list[events->count++] = (struct event){cycle, value};
}

static void write_mark(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  (void)parameter;
  avr->data[address] = value;
  add(&batch.marks, avr->cycle, value);
}

static void note_sent(void *context, uint8_t byte) {
  (void)context;
  add(&batch.sent, batch.uart.last_activity, byte);
}

static void after_reset(void *context) {
  (void)context;
  miniml_uart_reset(&batch.uart);
  miniml_timers_reset(&batch.timers);
}

static void print_events(const char *name, const struct events *events) {
  printf(", \"%s\": [", name);
  for (size_t i = 0; i < events->count; i++)
    printf("%s[%u, %" PRIu64 "]", i ? ", " : "", events->list[i].value, events->list[i].cycle);
  printf("]");
}

static void print_hex(const char *name, const uint8_t *bytes, size_t count) {
  printf(", \"%s\": \"", name);
  for (size_t i = 0; i < count; i++)
    printf("%02x", bytes[i]);
  printf("\"");
}

static void print_result(const char *end) {
  const struct miniml_core *core = &batch.core;
  uint8_t sreg = 0;
  for (int i = 0; i < 8; i++)
    sreg |= (uint8_t)(core->avr->sreg[i] << i);
  printf("{\"end\": \"%s\", \"cycles\": %" PRIu64 ", \"pc\": %u, \"sp\": %u, \"sp_min\": %u, "
         "\"sreg\": %u, \"resets\": %u, \"faults\": %u, \"crashed\": \"%s\", \"overruns\": %u, "
         "\"framing_errors\": %u",
         end, core->avr->cycle, core->avr->pc, miniml_core_sp(core), core->sp_min, sreg,
         core->resets, core->faults, core->first_fault, batch.uart.overruns,
         batch.uart.framing_errors);
  print_events("marks", &batch.marks);
  print_events("sent", &batch.sent);
  print_hex("registers", core->avr->data, 32);
  print_hex("sram", core->avr->data + 0x100, 0x800);
  printf("}\n");
}

static unsigned parse_hex_bytes(const char *text, uint8_t *bytes, unsigned room) {
  unsigned count = 0;
  for (unsigned value; count < room && sscanf(text, "%2x", &value) == 1; text += 2)
    bytes[count++] = (uint8_t)value;
  return count;
}

static void trace(FILE *file) {
  const avr_t *avr = batch.core.avr;
  uint32_t words[2] = {avr->pc, (uint32_t)avr->cycle};
  fwrite(words, sizeof words, 1, file);
}

/* Runs to the next point of interest; the reason to end, or NULL. */
static const char *advance(const struct miniml_batch_options *options, FILE *file,
                           avr_cycle_count_t until) {
  avr_t *avr = batch.core.avr;
  if (file && avr->state == cpu_Running)
    trace(file);
  /* One instruction at a time where the caller wants to stop or look there. */
  bool single = file || options->stop_at_mark;
  if (options->skip_waiting)
    miniml_idle_run(&batch.core, until);
  else
    miniml_core_run(&batch.core, single ? avr->cycle + 1 : until);
  batch.core.was_reset = false;
  if (batch.core.sleeping_for_ever)
    return "sleep";
  if (options->stop_at_mark && batch.marks.count >= options->stop_at_mark)
    return "marks";
  return avr->cycle >= options->cycles ? "cycles" : NULL;
}

static void make_chip(const struct miniml_batch_options *options) {
  miniml_core_init(&batch.core, MINIML_FLASH_BYTES);
  miniml_timers_init(&batch.timers, &batch.core);
  miniml_uart_init(&batch.uart, &batch.core);
  miniml_core_on_write(&batch.core, GPIOR0, write_mark, NULL);
  batch.core.on_reset = after_reset;
  batch.uart.transmit = note_sent;
  batch.uart.partner_baud = options->receive_baud;
}

int miniml_batch_run(const struct miniml_batch_options *options) {
  const char *reason, *end = NULL;
  uint32_t lowest;
  uint8_t bytes[MINIML_WIRE_BYTES];
  make_chip(options);
  avr_t *avr = batch.core.avr;
  if (!miniml_memory_load_hex(options->program, avr->flash, MINIML_FLASH_BYTES, &lowest, &reason)) {
    fprintf(stderr, "%s %s\n", options->program, reason);
    return 2;
  }
  FILE *file = options->trace ? fopen(options->trace, "wb") : NULL;
  if (options->trace && file == NULL) {
    fprintf(stderr, "can't write %s\n", options->trace);
    return 2;
  }
  miniml_core_reset(&batch.core, MINIML_RESET_POWER);
  batch.core.was_reset = false;
  while (end == NULL && options->receive && avr->cycle < options->receive_at)
    end = advance(options, file, options->receive_at);
  if (options->receive)
    miniml_uart_receive(&batch.uart, bytes, parse_hex_bytes(options->receive, bytes, sizeof bytes));
  while (end == NULL)
    end = advance(options, file, options->cycles);
  if (file)
    fclose(file);
  print_result(end);
  return 0;
}
