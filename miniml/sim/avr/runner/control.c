#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket's path has at most 107 bytes: reach a deep folder by its descriptor. */
int miniml_control_listen(const char *folder, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int directory = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  if (directory < 0)
    return -1;
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name);
  unlinkat(directory, name, 0);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool listens = listener >= 0 &&
                 bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                 listen(listener, MINIML_CONTROL_CLIENTS) == 0;
  int reason = errno;
  close(directory);
  if (listens)
    return listener;
  if (listener >= 0)
    close(listener);
  errno = reason;
  return -1;
}

void miniml_control_init(struct miniml_control *control, int listener) {
  control->listener = listener;
  for (int i = 0; i < MINIML_CONTROL_CLIENTS; i++)
    control->client[i].fd = -1;
}

unsigned miniml_control_poll(const struct miniml_control *control, struct pollfd *polled) {
  polled[0] = (struct pollfd){.fd = control->listener, .events = POLLIN};
  for (int i = 0; i < MINIML_CONTROL_CLIENTS; i++)
    polled[i + 1] = (struct pollfd){.fd = control->client[i].fd, .events = POLLIN};
  return MINIML_CONTROL_CLIENTS + 1;
}

static void hang_up(struct miniml_control_client *client) {
  close(client->fd);
  client->fd = -1;
}

static void take_clients(struct miniml_control *control) {
  int fd;
  while ((fd = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct miniml_control_client *free_place = NULL;
    for (int i = 0; i < MINIML_CONTROL_CLIENTS && free_place == NULL; i++)
      if (control->client[i].fd < 0)
        free_place = &control->client[i];
    if (free_place == NULL) {
      close(fd);
      continue;
    }
    free_place->fd = fd;
    free_place->count = 0;
  }
}

static void obey(struct miniml_control_client *client, struct miniml_board *board) {
  char answer[8192];
  size_t length = client->count;
  client->line[length] = 0;
  client->count = 0;
  if (length && client->line[length - 1] == '\r')
    client->line[length - 1] = 0;
  miniml_board_command(board, client->line, answer, sizeof answer - 1);
  strcat(answer, "\n");
  if (send(client->fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
    hang_up(client);
}

static void serve_client(struct miniml_control_client *client, struct miniml_board *board) {
  char byte;
  ssize_t size = 0;
  while (client->fd >= 0 && (size = recv(client->fd, &byte, 1, 0)) > 0) {
    if (byte == '\n')
      obey(client, board);
    else if (client->count < sizeof client->line - 1)
      client->line[client->count++] = byte;
  }
  if (client->fd >= 0 && (size == 0 || (errno != EAGAIN && errno != EINTR)))
    hang_up(client);
}

void miniml_control_serve(struct miniml_control *control, struct miniml_board *board) {
  take_clients(control);
  for (int i = 0; i < MINIML_CONTROL_CLIENTS; i++)
    if (control->client[i].fd >= 0)
      serve_client(&control->client[i], board);
}
