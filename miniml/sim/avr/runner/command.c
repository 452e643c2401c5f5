#include "board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *reset_cause(const struct miniml_core *core) {
  if (core->reset_cause & MINIML_RESET_WATCHDOG)
    return "watchdog";
  return core->reset_cause & MINIML_RESET_EXTERNAL ? "external" : "power";
}

void miniml_board_status(const struct miniml_board *board, char *text, size_t size) {
  const struct miniml_core *core = &board->core;
  uint16_t sp_min = core->sp_min;
  char crashed[128] = "null", bss_end[16] = "null";
  bool overflow = board->bss_end && sp_min < board->bss_end;
  if (core->first_fault[0])
    snprintf(crashed, sizeof crashed, "\"%s\"", core->first_fault);
  else if (overflow)
    snprintf(crashed, sizeof crashed, "\"stack overflow: sp 0x%04x below __bss_end 0x%04x\"",
             sp_min, board->bss_end);
  else if (core->sleeping_for_ever)
    snprintf(crashed, sizeof crashed, "\"asleep with interrupts off at pc 0x%04x\"", core->avr->pc);
  if (board->bss_end)
    snprintf(bss_end, sizeof bss_end, "%u", board->bss_end);
  snprintf(text, size,
           "{\"mcu\": \"atmega328p\", \"simulated\": true, \"powered\": %s, \"running\": %s, "
           "\"waiting\": %s, "
           "\"port\": \"%s\", \"open\": %s, \"pace\": \"%s\", \"cycles\": %llu, \"pc\": %u, "
           "\"sp\": %u, \"sp_min\": %u, \"bss_end\": %s, \"stack_overflow\": %s, "
           "\"bootloader\": %s, \"resets\": %u, \"reset_cause\": \"%s\", \"baud\": %u, "
           "\"host_baud\": %u, "
           "\"received\": %llu, \"transmitted\": %llu, \"overruns\": %u, \"framing_errors\": %u, "
           "\"dropped\": %llu, \"faults\": %u, \"crashed\": %s}",
           board->powered ? "true" : "false",
           board->powered && !core->sleeping_for_ever ? "true" : "false",
           board->waiting ? "true" : "false", board->powered ? board->port.name : "",
           board->port.users ? "true" : "false", board->realtime ? "realtime" : "free",
           (unsigned long long)core->avr->cycle, core->avr->pc, miniml_core_sp(core), sp_min,
           bss_end, overflow ? "true" : "false",
           core->avr->pc >= core->boot_start ? "true" : "false", core->resets, reset_cause(core),
           miniml_uart_baud(&board->uart), board->uart.partner_baud,
           (unsigned long long)board->uart.received, (unsigned long long)board->uart.transmitted,
           board->uart.overruns, board->uart.framing_errors,
           (unsigned long long)board->port.dropped, core->faults, crashed);
}

void miniml_board_command(struct miniml_board *board, const char *line, char *answer, size_t size) {
  const char *ok = "{\"ok\": true}";
  if (strcmp(line, "status") == 0) {
    miniml_board_status(board, answer, size);
    return;
  }
  if (strcmp(line, "reset") == 0) {
    if (board->powered)
      miniml_board_reset(board);
    else
      ok = "{\"ok\": false, \"error\": \"the board has no power\"}";
  } else if (strcmp(line, "power off") == 0) {
    miniml_board_power_off(board);
  } else if (strcmp(line, "power on") == 0) {
    if (!board->powered && !miniml_board_power_on(board))
      ok = "{\"ok\": false, \"error\": \"no PTY could be opened\"}";
  } else if (strcmp(line, "pace realtime") == 0 || strcmp(line, "pace free") == 0) {
    board->realtime = line[5] == 'r';
  } else if (strncmp(line, "bss_end ", 8) == 0) {
    board->bss_end = (uint32_t)strtoul(line + 8, NULL, 0);
  } else if (strcmp(line, "quit") == 0) {
    board->quit = true;
  } else {
    ok = "{\"ok\": false, \"error\": \"commands: status, reset, power off, power on, "
         "pace realtime, pace free, bss_end N, quit\"}";
  }
  snprintf(answer, size, "%s", ok);
}
