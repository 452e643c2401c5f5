#define _GNU_SOURCE
#include "port.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool make_raw(int master) {
  struct termios2 settings;
  if (ioctl(master, TCGETS2, &settings) != 0)
    return false;
  settings.c_iflag = 0;
  settings.c_oflag = 0;
  settings.c_lflag = 0;
  settings.c_cflag = B9600 | CS8 | CREAD | CLOCAL; /* what a fresh serial port has */
  settings.c_ispeed = settings.c_ospeed = 9600;
  return ioctl(master, TCSETS2, &settings) == 0;
}

static bool point_link(struct miniml_port *port, const char *link) {
  char fresh[sizeof port->link + 8];
  snprintf(port->link, sizeof port->link, "%s", link);
  snprintf(fresh, sizeof fresh, "%s.new", link);
  unlink(fresh);
  return symlink(port->name, fresh) == 0 && rename(fresh, link) == 0;
}

bool miniml_port_open(struct miniml_port *port, const char *link) {
  port->users = 0;
  port->out_count = 0;
  port->inotify = -1;
  port->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (port->master < 0)
    return false;
  port->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (port->inotify >= 0 && grantpt(port->master) == 0 && unlockpt(port->master) == 0 &&
      ptsname_r(port->master, port->name, sizeof port->name) == 0 && make_raw(port->master) &&
      inotify_add_watch(port->inotify, port->name, IN_OPEN | IN_CLOSE) >= 0 &&
      point_link(port, link))
    return true;
  int reason = errno;
  miniml_port_close(port);
  errno = reason;
  return false;
}

void miniml_port_close(struct miniml_port *port) {
  if (port->link[0])
    unlink(port->link);
  if (port->inotify >= 0)
    close(port->inotify);
  if (port->master >= 0)
    close(port->master);
  port->master = port->inotify = -1;
  port->link[0] = 0;
}

static bool hung_up(const struct miniml_port *port) {
  struct pollfd state = {.fd = port->master};
  return poll(&state, 1, 0) > 0 && (state.revents & POLLHUP);
}

bool miniml_port_was_opened(struct miniml_port *port) {
  _Alignas(struct inotify_event) char buffer[4096];
  bool edge = false;
  ssize_t size;
  if (port->inotify < 0)
    return false;
  while ((size = read(port->inotify, buffer, sizeof buffer)) > 0) {
    for (char *at = buffer; at < buffer + size;) {
      const struct inotify_event *event = (const struct inotify_event *)at;
      at += sizeof *event + event->len;
      if (event->mask & IN_OPEN) {
        edge |= port->users == 0;
        port->users++;
      } else if ((event->mask & IN_CLOSE) && port->users > 0) {
        port->users--;
      }
    }
  }
  if (hung_up(port)) /* inotify merges equal events; the hang-up is certain */
    port->users = 0;
  if (port->users == 0)
    port->out_count = 0;
  return edge;
}

size_t miniml_port_read(struct miniml_port *port, uint8_t *bytes, size_t room) {
  ssize_t size = port->master >= 0 && room ? read(port->master, bytes, room) : 0;
  return size > 0 ? (size_t)size : 0;
}

void miniml_port_discard_input(struct miniml_port *port) {
  uint8_t bytes[512];
  while (miniml_port_read(port, bytes, sizeof bytes) > 0)
    ;
}

void miniml_port_write(struct miniml_port *port, uint8_t byte) {
  if (port->users == 0 || port->out_count == sizeof port->out)
    port->dropped++;
  else
    port->out[port->out_count++] = byte;
}

void miniml_port_flush(struct miniml_port *port) {
  if (port->master < 0 || port->out_count == 0)
    return;
  ssize_t size = write(port->master, port->out, port->out_count);
  if (size <= 0)
    return;
  port->out_count -= (size_t)size;
  memmove(port->out, port->out + size, port->out_count);
}

uint32_t miniml_port_baud(const struct miniml_port *port) {
  struct termios2 settings;
  if (port->master < 0 || ioctl(port->master, TCGETS2, &settings) != 0)
    return 0;
  return settings.c_ospeed;
}
