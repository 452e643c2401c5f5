/* USART0 of the ATmega328P (DS40002061B chapter 20), asynchronous mode, exact frames.
 *
 * Transmitter: one byte in UDR0, one in the shift register; a frame lasts start, data, parity and
 * stop bits of 8 or 16 * (UBRR0 + 1) cycles. Receiver: two bytes deep plus the shift register, an
 * overrun when a fourth one begins. The partner's rate is the partner's: a byte sent too fast or
 * too slow by more than table 20-2 allows is sampled as the silicon would sample it.
 */
#ifndef MINIML_UART_H
#define MINIML_UART_H

#include "core.h"

#define MINIML_WIRE_BYTES 512

struct miniml_uart {
  struct miniml_core *core;
  /* To the partner; a framing error still delivers a byte, as USB adapters do. */
  void (*transmit)(void *context, uint8_t byte);
  void *context;
  uint32_t partner_baud; /* of the host's end; 0: the same as ours */

  bool shifting; /* a frame is going out */
  uint8_t shift_out;
  uint8_t waiting; /* in UDR0, while UDRE0 is 0 */

  uint8_t wire[MINIML_WIRE_BYTES]; /* bytes from the partner that wait for their frame */
  uint16_t wire_head, wire_count;
  bool receiving;
  double frame_start;
  struct miniml_uart_entry {
    uint8_t byte, errors; /* FE0, DOR0 as in UCSR0A */
  } fifo[3];              /* the third one is the receive shift register */
  uint8_t fifo_count;
  uint8_t next_errors; /* DOR0 belongs to the byte after the lost one */

  uint64_t received, transmitted; /* bytes on the wire, since the start */
  uint32_t overruns, framing_errors;
  avr_cycle_count_t last_activity;
};

void miniml_uart_init(struct miniml_uart *uart, struct miniml_core *core);
void miniml_uart_reset(struct miniml_uart *uart);

/* Room on the wire for this many bytes more. */
unsigned miniml_uart_room(const struct miniml_uart *uart);

/* The partner sends these bytes back to back, from now or after those it has sent before. */
void miniml_uart_receive(struct miniml_uart *uart, const uint8_t *bytes, unsigned count);

/* Nothing under way in either direction and nothing unread. */
bool miniml_uart_idle(const struct miniml_uart *uart);

uint32_t miniml_uart_baud(const struct miniml_uart *uart);

#endif
