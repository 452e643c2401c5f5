/* One Arduino board: chip, serial port, control socket, files, and its clock. */
#ifndef MINIML_BOARD_H
#define MINIML_BOARD_H

#include "core.h"
#include "port.h"
#include "timer.h"
#include "uart.h"

struct miniml_board {
  struct miniml_core core;
  struct miniml_timers timers;
  struct miniml_uart uart;
  struct miniml_port port;
  char state[3900]; /* folder of port, control, flash.bin, eeprom.bin */
  const char *bootloader;
  uint32_t bss_end; /* 0: not told */
  bool realtime;
  bool powered;
  bool quit;
  bool waiting; /* the program does nothing but poll or sleep, and nothing is under way */
  uint8_t saved_flash[MINIML_FLASH_BYTES];
  uint8_t saved_eeprom[1024];
};

bool miniml_board_power_on(struct miniml_board *board);
void miniml_board_power_off(struct miniml_board *board);

/* Pulls the reset pin. */
void miniml_board_reset(struct miniml_board *board);

/* Writes flash.bin and eeprom.bin if they changed. */
void miniml_board_save(struct miniml_board *board);

/* SIGTERM, SIGINT and SIGHUP end miniml_board_run in good order. */
void miniml_board_catch_signals(void);

/* Runs the board, paced, until quit or SIGTERM; `parent` is a pidfd or -1. */
void miniml_board_run(struct miniml_board *board, int control, int parent);

/* One JSON object, without line feed. */
void miniml_board_status(const struct miniml_board *board, char *text, size_t size);

/* Obeys one line of the control socket; the answer is one JSON object. */
void miniml_board_command(struct miniml_board *board, const char *line, char *answer, size_t size);

#endif
