/* An Arduino with an ATmega328P behind a PTY; see miniml/sim/avr/__init__.py. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>

#include "board.h"
#include "control.h"

static struct miniml_board board;

/* Readable when the parent process is gone. Unlike PR_SET_PDEATHSIG it does not take the end of the
 * thread that started us for the end of the process. */
static int watch_parent(pid_t parent) {
  int watch = (int)syscall(SYS_pidfd_open, parent, 0);
  if (watch < 0)
    prctl(PR_SET_PDEATHSIG, SIGTERM);
  return watch;
}

static int usage(void) {
  fprintf(stderr, "usage: miniml-avr --state DIR --bootloader HEX --boot-start ADDRESS "
                  "[--pace realtime|free] [--parent PID] [--bss-end ADDRESS]\n");
  return 2;
}

int main(int count, char **arguments) {
  static const struct option options[] = {{"state", required_argument, NULL, 's'},
                                          {"bootloader", required_argument, NULL, 'b'},
                                          {"boot-start", required_argument, NULL, 'a'},
                                          {"pace", required_argument, NULL, 'p'},
                                          {"parent", required_argument, NULL, 'P'},
                                          {"bss-end", required_argument, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
  pid_t parent = getppid();
  board.realtime = true;
  board.core.boot_start = MINIML_FLASH_BYTES;
  for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
    if (option == 's')
      snprintf(board.state, sizeof board.state, "%s", optarg);
    else if (option == 'b')
      board.bootloader = optarg;
    else if (option == 'a')
      board.core.boot_start = (uint32_t)strtoul(optarg, NULL, 0);
    else if (option == 'p')
      board.realtime = strcmp(optarg, "free") != 0;
    else if (option == 'P')
      parent = (pid_t)strtol(optarg, NULL, 10);
    else if (option == 'e')
      board.bss_end = (uint32_t)strtoul(optarg, NULL, 0);
    else
      return usage();
  }
  if (board.state[0] == 0 || board.bootloader == NULL)
    return usage();
  board.port.master = board.port.inotify = -1;
  int parent_watch = watch_parent(parent);
  int control = miniml_control_listen(board.state, "control");
  if (control < 0) {
    fprintf(stderr, "can't listen on %s/control: %s\n", board.state, strerror(errno));
    return 4;
  }
  bool powered = getppid() == parent && miniml_board_power_on(&board);
  if (powered)
    miniml_board_run(&board, control, parent_watch);
  miniml_board_power_off(&board);
  char path[4096];
  snprintf(path, sizeof path, "%s/control", board.state);
  unlink(path);
  return powered ? 0 : 4;
}
