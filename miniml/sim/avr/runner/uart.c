#include "uart.h"

#include <string.h>

#include "line.h"

enum { UCSR0A = 0xc0, UCSR0B = 0xc1, UCSR0C = 0xc2, UBRR0L = 0xc4, UBRR0H = 0xc5, UDR0 = 0xc6 };
enum { RXC = 0x80, TXC = 0x40, UDRE = 0x20, FE = 0x10, DOR = 0x08, U2X = 0x02, MPCM = 0x01 };
enum { RXEN = 0x10, TXEN = 0x08, UCSZ2 = 0x04 };

static uint8_t *status(const struct miniml_uart *uart) {
  return &uart->core->avr->data[UCSR0A];
}

static bool enabled(const struct miniml_uart *uart, uint8_t bit) {
  return uart->core->avr->data[UCSR0B] & bit;
}

/* Table 20-1: fOSC / (16 or 8) / (UBRR + 1). */
static uint32_t cycles_per_bit(const struct miniml_uart *uart) {
  const uint8_t *data = uart->core->avr->data;
  uint32_t divisor = (data[UBRR0L] | (data[UBRR0H] & 15u) << 8) + 1u;
  return divisor * (*status(uart) & U2X ? 8 : 16);
}

/* Start, data (tables 20-11 and 20-10), parity and stop bits. */
static uint32_t bits_per_frame(const struct miniml_uart *uart) {
  const uint8_t *data = uart->core->avr->data;
  uint8_t c = data[UCSR0C];
  uint32_t data_bits = enabled(uart, UCSZ2) ? 9 : 5 + (c >> 1 & 3u);
  return 1 + data_bits + (c & 0x20 ? 1 : 0) + (c & 0x08 ? 2 : 1);
}

static double partner_bit(const struct miniml_uart *uart) {
  return uart->partner_baud ? (double)MINIML_CLOCK_HZ / uart->partner_baud
                            : (double)cycles_per_bit(uart);
}

uint32_t miniml_uart_baud(const struct miniml_uart *uart) {
  return MINIML_CLOCK_HZ / cycles_per_bit(uart);
}

static void send_to_partner(struct miniml_uart *uart, uint8_t byte, avr_cycle_count_t end) {
  struct miniml_line_byte heard[MINIML_LINE_MAX];
  double ours = cycles_per_bit(uart), theirs = partner_bit(uart);
  int count = miniml_line_hear(byte, ours, theirs, 16, heard);
  uart->transmitted++;
  uart->last_activity = end;
  for (int i = 0; i < count; i++)
    uart->transmit(uart->context, heard[i].byte);
}

static avr_cycle_count_t frame_sent(avr_t *avr, avr_cycle_count_t when, void *parameter) {
  struct miniml_uart *uart = parameter;
  (void)avr;
  send_to_partner(uart, uart->shift_out, when);
  miniml_core_kick(uart->core);
  if (*status(uart) & UDRE) {
    uart->shifting = false;
    *status(uart) |= TXC;
    return 0;
  }
  uart->shift_out = uart->waiting;
  *status(uart) |= UDRE;
  return when + (avr_cycle_count_t)bits_per_frame(uart) * cycles_per_bit(uart);
}

static void write_data(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_uart *uart = parameter;
  (void)address;
  uart->core->side_effects++;
  if (!enabled(uart, TXEN) || !(*status(uart) & UDRE))
    return; /* 20.6.2: ignored unless UDRE0 is set */
  if (uart->shifting) {
    uart->waiting = value;
    *status(uart) &= (uint8_t)~UDRE;
    return;
  }
  uart->shifting = true;
  uart->shift_out = value;
  uint32_t frame = bits_per_frame(uart) * cycles_per_bit(uart);
  avr_cycle_count_t start = miniml_core_access(uart->core) + 1;
  miniml_core_call_after(uart->core, start + frame - avr->cycle, frame_sent, uart);
}

static void update_received(struct miniml_uart *uart) {
  uint8_t flags = *status(uart) & (uint8_t) ~(RXC | FE | DOR);
  if (uart->fifo_count)
    flags |= RXC | uart->fifo[0].errors;
  *status(uart) = flags;
  if (uart->fifo_count)
    miniml_core_kick(uart->core);
}

static uint8_t read_data(avr_t *avr, avr_io_addr_t address, void *parameter) {
  struct miniml_uart *uart = parameter;
  (void)avr;
  (void)address;
  if (uart->fifo_count == 0)
    return uart->fifo[0].byte; /* reads the last byte again */
  uart->core->side_effects++;
  uint8_t byte = uart->fifo[0].byte;
  uart->fifo_count--;
  if (uart->fifo_count)
    memmove(&uart->fifo[0], &uart->fifo[1], 2 * sizeof uart->fifo[0]);
  update_received(uart);
  return byte;
}

static void store(struct miniml_uart *uart, struct miniml_line_byte heard) {
  if (!enabled(uart, RXEN))
    return;
  if (uart->fifo_count == 3) { /* 20.7.5: the one in the shift register is lost */
    uart->overruns++;
    uart->fifo_count = 2;
    uart->next_errors |= DOR;
  }
  uint8_t errors = uart->next_errors;
  uart->next_errors = 0;
  if (heard.framing_error) {
    errors |= FE;
    uart->framing_errors++;
  }
  uart->fifo[uart->fifo_count++] = (struct miniml_uart_entry){heard.byte, errors};
  update_received(uart);
}

/* 9.5 bits after the falling edge: the middle of the stop bit. */
static avr_cycle_count_t frame_received(avr_t *avr, avr_cycle_count_t when, void *parameter) {
  struct miniml_uart *uart = parameter;
  (void)when;
  struct miniml_line_byte heard[MINIML_LINE_MAX];
  uint8_t byte = uart->wire[uart->wire_head];
  uart->wire_head = (uint16_t)((uart->wire_head + 1) % MINIML_WIRE_BYTES);
  uart->wire_count--;
  uart->received++;
  uart->last_activity = avr->cycle;
  double theirs = partner_bit(uart), ours = cycles_per_bit(uart);
  int count = miniml_line_hear(byte, theirs, ours, *status(uart) & U2X ? 8 : 16, heard);
  for (int i = 0; i < count; i++)
    store(uart, heard[i]);
  uart->frame_start += 10 * theirs;
  uart->receiving = uart->wire_count > 0;
  return uart->receiving ? (avr_cycle_count_t)(uart->frame_start + 9.5 * theirs) : 0;
}

static void start_receiving(struct miniml_uart *uart) {
  avr_t *avr = uart->core->avr;
  if (uart->receiving || uart->wire_count == 0)
    return;
  if (uart->frame_start < (double)avr->cycle)
    uart->frame_start = (double)avr->cycle;
  double stored = uart->frame_start + 9.5 * partner_bit(uart);
  uart->receiving = true;
  miniml_core_call_after(uart->core, (avr_cycle_count_t)stored - avr->cycle, frame_received, uart);
}

unsigned miniml_uart_room(const struct miniml_uart *uart) {
  return MINIML_WIRE_BYTES - uart->wire_count;
}

void miniml_uart_receive(struct miniml_uart *uart, const uint8_t *bytes, unsigned count) {
  for (unsigned i = 0; i < count && uart->wire_count < MINIML_WIRE_BYTES; i++)
    uart->wire[(uart->wire_head + uart->wire_count++) % MINIML_WIRE_BYTES] = bytes[i];
  start_receiving(uart);
}

static void write_status(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_uart *uart = parameter;
  uint8_t kept = avr->data[address] & (uint8_t) ~(U2X | MPCM);
  if (value & TXC)
    kept &= (uint8_t)~TXC;
  avr->data[address] = kept | (value & (U2X | MPCM));
  uart->core->side_effects++;
}

static void write_enables(avr_t *avr, avr_io_addr_t address, uint8_t value, void *parameter) {
  struct miniml_uart *uart = parameter;
  avr->data[address] = value;
  uart->core->side_effects++;
  if (!(value & RXEN)) { /* 20.7.7: disabling the receiver flushes its buffer */
    uart->fifo_count = 0;
    uart->next_errors = 0;
    update_received(uart);
  }
  miniml_core_kick(uart->core);
}

bool miniml_uart_idle(const struct miniml_uart *uart) {
  return !uart->shifting && !uart->receiving && uart->wire_count == 0 && uart->fifo_count == 0;
}

void miniml_uart_reset(struct miniml_uart *uart) {
  uart->shifting = uart->receiving = false;
  uart->wire_count = 0;
  uart->fifo_count = 0;
  uart->next_errors = 0;
  uart->core->avr->data[UCSR0A] = UDRE;
  uart->core->avr->data[UCSR0B] = 0;
  uart->core->avr->data[UCSR0C] = 0x06;
}

void miniml_uart_init(struct miniml_uart *uart, struct miniml_core *core) {
  memset(uart, 0, sizeof *uart);
  uart->core = core;
  miniml_core_on_read(core, UCSR0A, NULL, NULL); /* the flags in memory are what is read */
  miniml_core_on_write(core, UCSR0A, write_status, uart);
  miniml_core_on_write(core, UCSR0B, write_enables, uart);
  miniml_core_on_write(core, UCSR0C, NULL, NULL);
  miniml_core_on_write(core, UBRR0L, NULL, NULL);
  miniml_core_on_read(core, UDR0, read_data, uart);
  miniml_core_on_write(core, UDR0, write_data, uart);
  miniml_uart_reset(uart);
}
