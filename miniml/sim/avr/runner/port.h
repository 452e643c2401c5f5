/* The serial port as the host sees it: a PTY whose slave plays /dev/ttyACM0.
 *
 * A PTY has no DTR line. Arduino boards reset when the host opens the port (DTR falls, 100 nF to
 * the reset pin); here the first opening of the slave is that edge, seen by inotify.
 */
#ifndef MINIML_PORT_H
#define MINIML_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct miniml_port {
  int master; /* -1: no port (the board has no power) */
  int inotify;
  char name[64];
  char link[4096]; /* DIR/port */
  int users;       /* slaves open, as far as inotify tells */
  uint8_t out[65536];
  size_t out_count;
  uint64_t dropped; /* bytes that nobody read, or that no one had the port open for */
};

/* Opens a PTY and points `link` to it; false with errno set. */
bool miniml_port_open(struct miniml_port *port, const char *link);
void miniml_port_close(struct miniml_port *port);

/* True when a host has just opened the closed port: the reset edge. */
bool miniml_port_was_opened(struct miniml_port *port);

size_t miniml_port_read(struct miniml_port *port, uint8_t *bytes, size_t room);
void miniml_port_discard_input(struct miniml_port *port);
void miniml_port_write(struct miniml_port *port, uint8_t byte);
void miniml_port_flush(struct miniml_port *port);

/* The host's rate in baud, 0 if it can't be told. */
uint32_t miniml_port_baud(const struct miniml_port *port);

#endif
