/* Requests and answers of docs/PROTOCOL.md. Nothing that comes over the line is trusted: every
 * length, offset and number is checked before it is used. */
#include "miniml_link.h"

#include <string.h>

#include "miniml_link_text.h"

#ifdef __AVR__
#include <avr/pgmspace.h>
#define MINIML_LINK_TEXT(text) PSTR(text)
#define MINIML_LINK_COMPARE(a, text, n) strncmp_P((a), PSTR(text), (n))
#define MINIML_LINK_CHAR(address) ((char)pgm_read_byte(address))
#else
#define MINIML_LINK_TEXT(text) (text)
#define MINIML_LINK_COMPARE(a, text, n) strncmp((a), (text), (n))
#define MINIML_LINK_CHAR(address) (*(address))
#endif

#define MINIML_LINK_HEAD 4 /* "?SS " */
#define MINIML_LINK_TAIL 6 /* "*CCCC\n" */
#define MINIML_LINK_RETRY_NONE 0xFF

/* The one request that TIME runs; its functions take no argument. */
static const miniml_link_model *miniml_link_timed;
static const int8_t *miniml_link_timed_result;

static void miniml_link_run_timed(void) {
  miniml_link_timed_result =
      miniml_link_timed->run_layers(miniml_link_timed->input, miniml_link_timed->n_layers);
}

void miniml_link_start(miniml_link *link, const miniml_link_model *model,
                       const miniml_link_board *board) {
  memset(link, 0, sizeof *link);
  link->model = model;
  link->board = board;
  link->last_sequence = MINIML_LINK_RETRY_NONE;
}

static char *miniml_link_put(char *to, const char *flash_text) {
  for (char c; (c = MINIML_LINK_CHAR(flash_text)) != '\0'; flash_text++) {
    *to++ = c;
  }
  return to;
}

/* A text cut to `room`, blanks made underscores so that it stays one field. */
static char *miniml_link_put_field(char *to, const char *flash_text, uint8_t room) {
  for (char c; room != 0 && (c = MINIML_LINK_CHAR(flash_text)) != '\0'; flash_text++, room--) {
    *to++ = c > ' ' && c <= '~' && c != '*' ? c : '_';
  }
  return to;
}

static char *miniml_link_put_id(char *to, const char *flash_id) {
  for (uint8_t i = 0; i < 16; i++) {
    const char c = MINIML_LINK_CHAR(flash_id + i);
    *to++ = (char)(c >= 'a' ? c - 'a' + 'A' : c);
  }
  return to;
}

static char *miniml_link_put_decimal(char *to, uint32_t value) {
  char digits[10];
  uint8_t n = 0;
  do {
    digits[n++] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (n != 0) {
    *to++ = digits[--n];
  }
  return to;
}

static char *miniml_link_put_bytes(char *to, const int8_t *bytes, uint8_t n) {
  for (uint8_t i = 0; i < n; i++) {
    to = miniml_link_write_hex(to, (uint8_t)bytes[i], 2);
  }
  return to;
}

/* Close the answer that ends at `end`: CRC and line feed. */
static uint8_t miniml_link_close(miniml_link *link, char *end) {
  const uint16_t crc = miniml_link_crc(link->answer + 1, (uint8_t)(end - link->answer - 1));
  *end++ = '*';
  end = miniml_link_write_hex(end, crc, 4);
  *end++ = '\n';
  link->answer_length = (uint8_t)(end - link->answer);
  return link->answer_length;
}

static char *miniml_link_open(miniml_link *link, uint8_t sequence) {
  link->answer[0] = '!';
  char *to = miniml_link_write_hex(link->answer + 1, sequence, 2);
  *to++ = ' ';
  return to;
}

/* Requests. Each gets its arguments, `n` bytes at `args` (0 where there are none), and `to`,
 * where its answer goes on after "OK"; it returns the answer's end, or 0 with *error set. */

static char *miniml_link_hello(miniml_link *link, const char *args, uint8_t n, char *to,
                               const char **error) {
  uint32_t nonce;
  if (n != 8 || !miniml_link_read_hex(args, 8, &nonce)) {
    *error = MINIML_LINK_TEXT("ARGS");
    return 0;
  }
  link->greeted = true;
  link->result = 0;
  *to++ = ' ';
  to = miniml_link_write_hex(to, MINIML_LINK_VERSION, 1);
  *to++ = ' ';
  to = miniml_link_write_hex(to, nonce, 8);
  *to++ = ' ';
  to = miniml_link_put_id(to, link->model->model_id);
  *to++ = ' ';
  return miniml_link_put_id(to, link->model->build_id);
}

static char *miniml_link_info(miniml_link *link, const char *args, uint8_t n, char *to,
                              const char **error) {
  const miniml_link_model *const model = link->model;
  uint32_t layer;
  *to++ = ' ';
  if (n == 5 && MINIML_LINK_COMPARE(args, "BOARD", 5) == 0) {
    to = miniml_link_put_field(to, model->board, 30);
    *to++ = ' ';
    return miniml_link_put_decimal(to, link->board->clock_hz());
  }
  if (n == 5 && MINIML_LINK_COMPARE(args, "SHAPE", 5) == 0) {
    to = miniml_link_write_hex(to, model->n_inputs, 4);
    *to++ = ' ';
    to = miniml_link_write_hex(to, model->n_outputs, 4);
    *to++ = ' ';
    return miniml_link_write_hex(to, model->n_layers, 2);
  }
  if (n == 4 && MINIML_LINK_COMPARE(args, "TOOL", 4) == 0) {
    return miniml_link_put_field(to, MINIML_LINK_TEXT(__VERSION__), 44);
  }
  if (n == 4 && MINIML_LINK_COMPARE(args, "SIZE", 4) == 0) {
    const uint32_t used = link->board->stack_used();
    const uint32_t untouched = link->board->stack_untouched();
    to = miniml_link_write_hex(to, used > 0xFFFF ? 0xFFFF : used, 4);
    *to++ = ' ';
    return miniml_link_write_hex(to, untouched > 0xFFFF ? 0xFFFF : untouched, 4);
  }
  if (n == 8 && MINIML_LINK_COMPARE(args, "LAYER ", 6) == 0 &&
      miniml_link_read_hex(args + 6, 2, &layer)) {
    if (layer == 0 || layer > model->n_layers) {
      *error = MINIML_LINK_TEXT("RANGE");
      return 0;
    }
    return miniml_link_write_hex(to, model->layer_width((uint8_t)layer), 4);
  }
  *error = MINIML_LINK_TEXT("ARGS");
  return 0;
}

/* LOAD and FLOAT: an offset, then items of `digits` hex digits. */
static char *miniml_link_load(miniml_link *link, const char *args, uint8_t n, char *to,
                              const char **error, uint8_t digits) {
  uint32_t offset;
  const uint8_t count = n < 5 ? 0 : (uint8_t)((n - 5) / digits);
  if (count == 0 || n != 5 + count * digits || args[4] != ' ' ||
      !miniml_link_read_hex(args, 4, &offset)) {
    *error = MINIML_LINK_TEXT("ARGS");
    return 0;
  }
  if (offset + count > link->model->n_inputs) {
    *error = MINIML_LINK_TEXT("RANGE");
    return 0;
  }
  uint32_t value;
  for (uint8_t i = 0; i < count; i++) {
    /* All digits are looked at before the first byte is stored. */
    if (!miniml_link_read_hex(args + 5 + i * digits, digits, &value)) {
      *error = MINIML_LINK_TEXT("ARGS");
      return 0;
    }
  }
  link->result = 0;
  for (uint8_t i = 0; i < count; i++) {
    int8_t byte;
    miniml_link_read_hex(args + 5 + i * digits, digits, &value);
    if (digits == 2) {
      byte = (int8_t)(uint8_t)value;
    } else {
      float x;
      memcpy(&x, &value, sizeof x);
      byte = link->model->quantize((uint16_t)(offset + i), x);
    }
    link->model->input[offset + i] = byte;
  }
  return to;
}

static char *miniml_link_run(miniml_link *link, const char *args, uint8_t n, char *to,
                             const char **error) {
  uint32_t layers;
  if (n != 2 || !miniml_link_read_hex(args, 2, &layers)) {
    *error = MINIML_LINK_TEXT("ARGS");
    return 0;
  }
  if (layers > link->model->n_layers) {
    *error = MINIML_LINK_TEXT("RANGE");
    return 0;
  }
  link->result_layer = layers != 0 ? (uint8_t)layers : link->model->n_layers;
  link->result = link->model->run_layers(link->model->input, link->result_layer);
  const uint16_t width = link->model->layer_width(link->result_layer);
  *to++ = ' ';
  return miniml_link_put_bytes(
      to, link->result, (uint8_t)(width < MINIML_LINK_READ_BYTES ? width : MINIML_LINK_READ_BYTES));
}

static char *miniml_link_read(miniml_link *link, const char *args, uint8_t n, char *to,
                              const char **error) {
  uint32_t layer, offset, count;
  if (n != 10 || args[2] != ' ' || args[7] != ' ' || !miniml_link_read_hex(args, 2, &layer) ||
      !miniml_link_read_hex(args + 3, 4, &offset) || !miniml_link_read_hex(args + 8, 2, &count)) {
    *error = MINIML_LINK_TEXT("ARGS");
    return 0;
  }
  const int8_t *from = link->model->input;
  uint16_t width = link->model->n_inputs;
  if (layer != 0) {
    if (link->result == 0 || layer != link->result_layer) {
      *error = MINIML_LINK_TEXT("STATE");
      return 0;
    }
    from = link->result;
    width = link->model->layer_width((uint8_t)layer);
  }
  if (count == 0 || count > MINIML_LINK_READ_BYTES || offset + count > width) {
    *error = MINIML_LINK_TEXT("RANGE");
    return 0;
  }
  *to++ = ' ';
  return miniml_link_put_bytes(to, from + offset, (uint8_t)count);
}

static char *miniml_link_time(miniml_link *link, const char *args, uint8_t n, char *to,
                              const char **error) {
  if (n != 1 || (*args != '0' && *args != '1')) {
    *error = MINIML_LINK_TEXT("ARGS");
    return 0;
  }
  miniml_link_timed = link->model;
  const uint32_t cycles = link->board->cycles(miniml_link_run_timed, *args == '1');
  if (cycles == MINIML_LINK_NOT_MEASURED) {
    link->result = 0;
    *error = MINIML_LINK_TEXT("STATE");
    return 0;
  }
  link->result = miniml_link_timed_result;
  link->result_layer = link->model->n_layers;
  *to++ = ' ';
  return miniml_link_write_hex(to, cycles, 8);
}

static char *miniml_link_echo(const char *args, uint8_t n, char *to, const char **error) {
  if (n > 40) {
    *error = MINIML_LINK_TEXT("RANGE");
    return 0;
  }
  *to++ = ' ';
  memcpy(to, args, n);
  return to + n;
}

static bool miniml_link_verb(const char *line, uint8_t n, const char *flash_verb, uint8_t length) {
  if (n < length) {
    return false;
  }
  for (uint8_t i = 0; i < length; i++) {
    if (line[i] != MINIML_LINK_CHAR(flash_verb + i)) {
      return false;
    }
  }
  return n == length || line[length] == ' ';
}

#define MINIML_LINK_IS(verb)                                                                       \
  miniml_link_verb(body, n, MINIML_LINK_TEXT(verb), (uint8_t)(sizeof(verb) - 1))
/* Arguments after a verb and its blank. */
#define MINIML_LINK_ARGS(verb)                                                                     \
  body + sizeof(verb), (uint8_t)(n < sizeof(verb) ? 0 : n - sizeof(verb))

/* body: VERB and arguments, n bytes. Returns the end of the answer, or 0 with *error set. */
static char *miniml_link_execute(miniml_link *link, const char *body, uint8_t n, char *to,
                                 const char **error) {
  if (MINIML_LINK_IS("HELLO")) {
    return miniml_link_hello(link, MINIML_LINK_ARGS("HELLO"), to, error);
  }
  if (!link->greeted) {
    *error = MINIML_LINK_TEXT("HELLO");
    return 0;
  }
  if (MINIML_LINK_IS("LOAD")) {
    return miniml_link_load(link, MINIML_LINK_ARGS("LOAD"), to, error, 2);
  }
  if (MINIML_LINK_IS("RUN")) {
    return miniml_link_run(link, MINIML_LINK_ARGS("RUN"), to, error);
  }
  if (MINIML_LINK_IS("READ")) {
    return miniml_link_read(link, MINIML_LINK_ARGS("READ"), to, error);
  }
  if (MINIML_LINK_IS("TIME")) {
    return miniml_link_time(link, MINIML_LINK_ARGS("TIME"), to, error);
  }
  if (MINIML_LINK_IS("FLOAT")) {
    return miniml_link_load(link, MINIML_LINK_ARGS("FLOAT"), to, error, 8);
  }
  if (MINIML_LINK_IS("INFO")) {
    return miniml_link_info(link, MINIML_LINK_ARGS("INFO"), to, error);
  }
  if (MINIML_LINK_IS("ECHO")) {
    return miniml_link_echo(MINIML_LINK_ARGS("ECHO"), to, error);
  }
  if (link->board->reset != 0 && MINIML_LINK_IS("RESET")) {
    link->reset_after_answer = true;
    return to;
  }
  *error = MINIML_LINK_TEXT("VERB");
  return 0;
}

static uint8_t miniml_link_refuse(miniml_link *link, uint8_t sequence, const char *flash_name) {
  char *to = miniml_link_open(link, sequence);
  to = miniml_link_put(to, MINIML_LINK_TEXT("ERR "));
  return miniml_link_close(link, miniml_link_put(to, flash_name));
}

/* link->line holds `?SS VERB ARGS*CCCC`, length bytes, without the line feed. */
static uint8_t miniml_link_answer(miniml_link *link) {
  const uint8_t length = link->length;
  const uint8_t star = (uint8_t)(length - (MINIML_LINK_TAIL - 1));
  uint32_t sequence, claimed;
  if (length < MINIML_LINK_HEAD + MINIML_LINK_TAIL || link->line[star] != '*' ||
      link->line[3] != ' ' || !miniml_link_read_hex(link->line + 1, 2, &sequence) ||
      sequence == MINIML_LINK_RETRY_NONE) {
    link->last_sequence = MINIML_LINK_RETRY_NONE;
    return miniml_link_refuse(link, 0xFF, MINIML_LINK_TEXT("CRC"));
  }
  const uint16_t crc = miniml_link_crc(link->line + 1, (uint8_t)(star - 1));
  const bool by_hand = MINIML_LINK_COMPARE(link->line + star + 1, "----", 4) == 0;
  if (!by_hand && (!miniml_link_read_hex(link->line + star + 1, 4, &claimed) || claimed != crc)) {
    /* The stored answer is overwritten by this one: a retry of the request before it must
     * be executed again, which is harmless for all that change no more than a buffer. */
    link->last_sequence = MINIML_LINK_RETRY_NONE;
    return miniml_link_refuse(link, 0xFF, MINIML_LINK_TEXT("CRC"));
  }
  if (!by_hand && sequence == link->last_sequence && crc == link->last_crc) {
    return link->answer_length;
  }
  link->last_sequence = (uint8_t)sequence;
  link->last_crc = crc;
  const char *error = 0;
  char *to = miniml_link_open(link, (uint8_t)sequence);
  *to++ = 'O';
  *to++ = 'K';
  char *const end = miniml_link_execute(link, link->line + MINIML_LINK_HEAD,
                                        (uint8_t)(star - MINIML_LINK_HEAD), to, &error);
  return end != 0 ? miniml_link_close(link, end)
                  : miniml_link_refuse(link, (uint8_t)sequence, error);
}

uint8_t miniml_link_receive(miniml_link *link, char byte) {
  if (byte == '?') {
    link->line[0] = byte;
    link->length = 1;
    link->overlong = false;
    return 0;
  }
  if (link->length == 0 || byte == '\r') {
    return 0;
  }
  if (byte == '\n') {
    uint8_t n;
    if (link->overlong) {
      link->last_sequence = MINIML_LINK_RETRY_NONE;
      n = miniml_link_refuse(link, 0xFF, MINIML_LINK_TEXT("LONG"));
    } else {
      n = miniml_link_answer(link);
    }
    link->length = 0;
    return n;
  }
  if (link->length == MINIML_LINK_LINE - 1) {
    link->overlong = true;
    return 0;
  }
  link->line[link->length++] = byte;
  return 0;
}
