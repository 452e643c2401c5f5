/* The control socket DIR/control: one command a line, one JSON object a line back. */
#ifndef MINIML_CONTROL_H
#define MINIML_CONTROL_H

#include <poll.h>
#include <stddef.h>

#include "board.h"

#define MINIML_CONTROL_CLIENTS 8
#define MINIML_CONTROL_FDS (MINIML_CONTROL_CLIENTS + 1)

struct miniml_control {
  int listener;
  struct miniml_control_client {
    int fd; /* -1: free */
    char line[256];
    size_t count;
  } client[MINIML_CONTROL_CLIENTS];
};

/* Listens on a Unix stream socket folder/name (replacing a stale one); -1 with errno set. */
int miniml_control_listen(const char *folder, const char *name);

void miniml_control_init(struct miniml_control *control, int listener);

/* Fills MINIML_CONTROL_FDS places. */
unsigned miniml_control_poll(const struct miniml_control *control, struct pollfd *polled);
void miniml_control_serve(struct miniml_control *control, struct miniml_board *board);

#endif
