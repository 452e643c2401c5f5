/* A program without a board: as fast as it goes, then one JSON object about everything. */
#ifndef MINIML_BATCH_H
#define MINIML_BATCH_H

#include <stdbool.h>
#include <stdint.h>

struct miniml_batch_options {
  const char *program;   /* Intel hex from address 0 */
  uint64_t cycles;       /* the latest end */
  bool skip_waiting;     /* as the board does while it waits (idle.h) */
  uint64_t stop_at_mark; /* end after this many marks; 0: never */
  const char *trace;     /* file for (pc, cycle) pairs, two 32-bit words an instruction; or NULL */
  const char *receive;   /* bytes in hexadecimal that the partner sends, or NULL */
  uint64_t receive_at;   /* from this cycle on, back to back */
  uint32_t receive_baud; /* 0: exactly the program's own rate */
};

/* Runs, prints, returns the exit code. */
int miniml_batch_run(const struct miniml_batch_options *options);

#endif
