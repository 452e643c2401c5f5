#define _GNU_SOURCE
#include "board.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_eeprom.h>

#include "control.h"
#include "idle.h"
#include "memory_file.h"

/* Low fuse 0xFF: 16K clocks and 65 ms from the reset to the first instruction (table 9-4). */
#define RESET_NS 66000000u
#define ACTIVE_NS 500000u         /* between two looks at the serial port */
#define IDLE_NS 5000000u          /* the same while nothing goes on; input wakes at once */
#define FREE_CYCLES 20000u        /* one slice without pacing */
#define FREE_CYCLES_MAX 80000000u /* 5 s without serial traffic: no longer unpaced */
#define CATCH_UP_CYCLES 320000u
#define SAVE_NS 20000000u /* between two looks at the flash while the bootloader runs */
#define LAG_NS 200000000u /* after a longer pause (stopped process) time is not made up */

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
  (void)number;
  stopped = 1;
}

void miniml_board_catch_signals(void) {
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  signal(SIGHUP, on_signal);
  signal(SIGPIPE, SIG_IGN);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void after_reset(void *context) {
  struct miniml_board *board = context;
  miniml_uart_reset(&board->uart);
  miniml_timers_reset(&board->timers);
}

static void to_host(void *context, uint8_t byte) {
  miniml_port_write(&((struct miniml_board *)context)->port, byte);
}

static void state_path(const struct miniml_board *board, const char *name, char path[4096]) {
  snprintf(path, 4096, "%s/%s", board->state, name);
}

static void keep(const struct miniml_board *board, const char *name, uint8_t *saved,
                 const uint8_t *memory, size_t size) {
  char path[4096];
  if (memcmp(saved, memory, size) == 0)
    return;
  state_path(board, name, path);
  if (miniml_memory_save(path, memory, size))
    memcpy(saved, memory, size);
  else
    fprintf(stderr, "can't write %s: %s\n", path, strerror(errno));
}

void miniml_board_save(struct miniml_board *board) {
  avr_eeprom_desc_t eeprom = {.ee = NULL, .offset = 0, .size = 0};
  keep(board, "flash.bin", board->saved_flash, board->core.avr->flash, MINIML_FLASH_BYTES);
  if (avr_ioctl(board->core.avr, AVR_IOCTL_EEPROM_GET, &eeprom) == 0 && eeprom.ee)
    keep(board, "eeprom.bin", board->saved_eeprom, eeprom.ee, sizeof board->saved_eeprom);
}

static bool load_memories(struct miniml_board *board) {
  char path[4096];
  const char *reason;
  uint32_t lowest;
  uint8_t *flash = board->core.avr->flash;
  state_path(board, "flash.bin", path);
  miniml_memory_load(path, flash, MINIML_FLASH_BYTES);
  memset(flash + board->core.boot_start, 0xff, MINIML_FLASH_BYTES - board->core.boot_start);
  if (!miniml_memory_load_hex(board->bootloader, flash, MINIML_FLASH_BYTES, &lowest, &reason)) {
    fprintf(stderr, "bootloader %s %s\n", board->bootloader, reason);
    return false;
  }
  state_path(board, "eeprom.bin", path);
  memset(board->saved_eeprom, 0xff, sizeof board->saved_eeprom);
  if (miniml_memory_load(path, board->saved_eeprom, sizeof board->saved_eeprom)) {
    avr_eeprom_desc_t eeprom = {
        .ee = board->saved_eeprom, .offset = 0, .size = sizeof board->saved_eeprom};
    avr_ioctl(board->core.avr, AVR_IOCTL_EEPROM_SET, &eeprom);
  }
  return true;
}

bool miniml_board_power_on(struct miniml_board *board) {
  char link[4096];
  state_path(board, "port", link);
  if (board->core.avr == NULL) {
    uint32_t boot_start = board->core.boot_start;
    miniml_core_init(&board->core, boot_start);
    miniml_timers_init(&board->timers, &board->core);
    miniml_uart_init(&board->uart, &board->core);
    board->core.on_reset = after_reset;
    board->core.context = board;
    board->uart.transmit = to_host;
    board->uart.context = board;
    if (!load_memories(board))
      return false;
  }
  if (!miniml_port_open(&board->port, link)) {
    fprintf(stderr, "can't open a PTY: %s\n", strerror(errno));
    return false;
  }
  board->powered = true;
  memset(board->core.avr->data, 0, 0x900); /* SRAM is lost (in truth: random) */
  miniml_core_reset(&board->core, MINIML_RESET_POWER);
  miniml_board_save(board);
  printf("ready %s\n", board->port.name);
  fflush(stdout);
  return true;
}

void miniml_board_power_off(struct miniml_board *board) {
  if (!board->powered)
    return;
  miniml_board_save(board);
  miniml_port_close(&board->port);
  board->powered = false;
}

void miniml_board_reset(struct miniml_board *board) {
  if (board->powered)
    miniml_core_reset(&board->core, MINIML_RESET_EXTERNAL);
}

static bool in_bootloader(const struct miniml_board *board) {
  return board->core.avr->pc >= board->core.boot_start;
}

struct pace {
  uint64_t origin_ns;
  avr_cycle_count_t origin_cycle;
};

static void set_origin(struct pace *pace, const struct miniml_board *board, uint64_t now) {
  pace->origin_ns = now;
  pace->origin_cycle = board->core.avr->cycle;
}

/* Without pacing a program runs until it does nothing but wait. */
static bool may_run_free(const struct miniml_board *board) {
  if (board->realtime || in_bootloader(board))
    return false;
  if (!miniml_uart_idle(&board->uart))
    return true;
  return !board->waiting && board->core.avr->cycle - board->uart.last_activity < FREE_CYCLES_MAX;
}

/* Runs what time allows; returns how long nothing needs to be done, in ns. */
static uint64_t run_slice(struct miniml_board *board, struct pace *pace, uint64_t now) {
  avr_t *avr = board->core.avr;
  if (may_run_free(board)) {
    board->waiting =
        miniml_idle_run(&board->core, avr->cycle + FREE_CYCLES) && miniml_uart_idle(&board->uart);
    set_origin(pace, board, now_ns());
    return 0;
  }
  avr_cycle_count_t due = pace->origin_cycle + (now - pace->origin_ns) * 2 / 125; /* 16 MHz */
  if (due > avr->cycle + LAG_NS / 125 * 2) {
    set_origin(pace, board, now);
    due = avr->cycle + 1;
  }
  bool behind = due > avr->cycle + CATCH_UP_CYCLES;
  board->waiting = miniml_idle_run(&board->core, behind ? avr->cycle + CATCH_UP_CYCLES : due) &&
                   miniml_uart_idle(&board->uart);
  if (behind)
    return 0;
  return board->waiting ? IDLE_NS : ACTIVE_NS;
}

static void feed(struct miniml_board *board) {
  uint8_t bytes[MINIML_WIRE_BYTES];
  size_t count = miniml_port_read(&board->port, bytes, miniml_uart_room(&board->uart));
  if (count == 0)
    return;
  board->waiting = false;
  board->uart.partner_baud = miniml_port_baud(&board->port);
  miniml_uart_receive(&board->uart, bytes, (unsigned)count);
}

/* Sleeps for `wait` ns or until somebody wants something; false when the parent is gone. */
static bool wait_for_event(const struct miniml_board *board, const struct miniml_control *sockets,
                           int parent, uint64_t wait) {
  const struct miniml_port *port = &board->port;
  struct pollfd polled[3 + MINIML_CONTROL_FDS];
  bool listening = port->users > 0 && miniml_uart_room(&board->uart) > 0;
  short events = (short)((listening ? POLLIN : 0) | (port->out_count ? POLLOUT : 0));
  polled[0] = (struct pollfd){.fd = parent, .events = POLLIN};
  polled[1] = (struct pollfd){.fd = port->inotify, .events = POLLIN};
  polled[2] = (struct pollfd){.fd = port->users ? port->master : -1, .events = events};
  unsigned count = 3 + miniml_control_poll(sockets, polled + 3);
  struct timespec timeout = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
  if (ppoll(polled, count, wait == UINT64_MAX ? NULL : &timeout, NULL) < 0)
    return errno == EINTR;
  return polled[0].revents == 0;
}

static void reset_if_opened(struct miniml_board *board) {
  if (board->powered && miniml_port_was_opened(&board->port))
    miniml_board_reset(board);
}

/* Its callers' connections stay open: they end with the process, so that whoever asked it to quit
 * learns when it has. */
void miniml_board_run(struct miniml_board *board, int control, int parent) {
  struct miniml_control sockets;
  struct pace pace = {0, 0};
  uint64_t released = 0; /* when the reset pin's delay is over */
  uint64_t saved = 0;
  bool flashing = false; /* the bootloader ran since the last look at the flash */
  miniml_control_init(&sockets, control);
  while (!board->quit && !stopped) {
    uint64_t now = now_ns(), wait = UINT64_MAX;
    reset_if_opened(board);
    if (board->powered && board->core.was_reset) {
      board->core.was_reset = false;
      released = now + RESET_NS;
      miniml_board_save(board);
    }
    if (board->powered && now < released) {
      miniml_port_discard_input(&board->port); /* nobody listens during the reset */
      set_origin(&pace, board, released);
      wait = released - now;
    } else if (board->powered) {
      feed(board);
      wait = run_slice(board, &pace, now);
      miniml_port_flush(&board->port);
      if (flashing && now > saved + SAVE_NS) {
        miniml_board_save(board);
        saved = now;
        flashing = in_bootloader(board);
      }
      flashing |= in_bootloader(board);
      if (board->core.was_reset)
        wait = 0;
    }
    if (!wait_for_event(board, &sockets, parent, wait))
      break;
    reset_if_opened(board); /* who asks now may have opened the port just before */
    miniml_control_serve(&sockets, board);
  }
}
