/* An Arduino with an ATmega328P behind a PTY; see miniml/sim/avr/__init__.py. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "batch.h"
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
  fprintf(stderr,
          "usage: miniml-avr --state DIR --bootloader HEX --boot-start ADDRESS "
          "[--pace realtime|free] [--parent PID] [--bss-end ADDRESS]\n"
          "       miniml-avr --batch HEX --cycles N [--marks N] [--skip-waiting] [--trace FILE] "
          "[--receive BYTES] [--receive-at CYCLE] [--receive-baud N]\n");
  return 2;
}

/* One board for each folder: a second one would fight for the port and the flash. */
static bool lock_state(const char *state) {
  char path[4096];
  snprintf(path, sizeof path, "%s/lock", state);
  int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  return file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0;
}

static int run_board(pid_t parent) {
  char path[4096];
  int parent_watch = watch_parent(parent);
  miniml_board_catch_signals();
  if (!lock_state(board.state)) {
    fprintf(stderr, "%s is in use by another simulated board, or can't be written: %s\n",
            board.state, strerror(errno));
    return 4;
  }
  int control = miniml_control_listen(board.state, "control");
  if (control < 0) {
    fprintf(stderr, "can't listen on %s/control: %s\n", board.state, strerror(errno));
    return 4;
  }
  bool powered = getppid() == parent && miniml_board_power_on(&board);
  if (powered)
    miniml_board_run(&board, control, parent_watch);
  miniml_board_power_off(&board);
  snprintf(path, sizeof path, "%s/control", board.state);
  unlink(path);
  return powered ? 0 : 4;
}

int main(int count, char **arguments) {
  static const struct option names[] = {{"state", required_argument, NULL, 's'},
                                        {"bootloader", required_argument, NULL, 'b'},
                                        {"boot-start", required_argument, NULL, 'a'},
                                        {"pace", required_argument, NULL, 'p'},
                                        {"parent", required_argument, NULL, 'P'},
                                        {"bss-end", required_argument, NULL, 'e'},
                                        {"batch", required_argument, NULL, 'B'},
                                        {"cycles", required_argument, NULL, 'c'},
                                        {"marks", required_argument, NULL, 'm'},
                                        {"skip-waiting", no_argument, NULL, 'w'},
                                        {"trace", required_argument, NULL, 't'},
                                        {"receive", required_argument, NULL, 'r'},
                                        {"receive-at", required_argument, NULL, 'R'},
                                        {"receive-baud", required_argument, NULL, 'u'},
                                        {NULL, 0, NULL, 0}};
  struct miniml_batch_options batch = {.cycles = 0};
  pid_t parent = getppid();
  board.realtime = true;
  board.core.boot_start = MINIML_FLASH_BYTES;
  board.port.master = board.port.inotify = -1;
  for (int name; (name = getopt_long(count, arguments, "", names, NULL)) != -1;) {
    uint64_t number = optarg ? strtoull(optarg, NULL, 0) : 0;
    switch (name) {
    case 's':
      snprintf(board.state, sizeof board.state, "%s", optarg);
      break;
    case 'b':
      board.bootloader = optarg;
      break;
    case 'a':
      board.core.boot_start = (uint32_t)number;
      break;
    case 'p':
      board.realtime = strcmp(optarg, "free") != 0;
      break;
    case 'P':
      parent = (pid_t)number;
      break;
    case 'e':
      board.bss_end = (uint32_t)number;
      break;
    case 'B':
      batch.program = optarg;
      break;
    case 'c':
      batch.cycles = number;
      break;
    case 'm':
      batch.stop_at_mark = number;
      break;
    case 'w':
      batch.skip_waiting = true;
      break;
    case 't':
      batch.trace = optarg;
      break;
    case 'r':
      batch.receive = optarg;
      break;
    case 'R':
      batch.receive_at = number;
      break;
    case 'u':
      batch.receive_baud = (uint32_t)number;
      break;
    default:
      return usage();
    }
  }
  if (batch.program && batch.cycles)
    return miniml_batch_run(&batch);
  if (board.state[0] == 0 || board.bootloader == NULL)
    return usage();
  return run_board(parent);
}
