/* Skips what a waiting program does over and over, without changing anything it could notice.
 *
 * A program that polls comes back to the same instruction with the same registers and memory. Until
 * the next event (timer, frame) every round is like the last one, so whole rounds can be added to
 * the cycle counter at once: the result is the same to the cycle, at a thousandth of the work.
 */
#ifndef MINIML_IDLE_H
#define MINIML_IDLE_H

#include "core.h"

/* Runs to `cycle`, skipping where it can. True: the program did nothing but wait at the end. */
bool miniml_idle_run(struct miniml_core *core, avr_cycle_count_t cycle);

#endif
