#include "miniml_link.h"

#include "miniml_device.h"

#ifdef __AVR__
#define MINIML_TEXT(text) PSTR(text)
#else
#define MINIML_TEXT(text) (text)
#endif

#define VERSION '1'
/* Bytes of a layer in one answer. */
#define BYTES_IN_ANSWER 22
#define ECHO_LENGTH 40
/* "?SS " and "*CCCC". */
#define HEADER 4
#define CHECK 5

typedef enum {
  FINE,
  NEED_HELLO,
  BAD_CRC,
  TOO_LONG,
  NO_VERB,
  BAD_ARGS,
  OUT_OF_RANGE,
  BAD_STATE
} error_code;

static const char error_names[][6] MINIML_FLASH = {"",     "HELLO", "CRC",   "LONG",
                                                   "VERB", "ARGS",  "RANGE", "STATE"};

void miniml_link_start(miniml_link *link, const miniml_link_config *config) {
  memset(link, 0, sizeof *link);
  MINIML_FLASH_COPY(&link->config, config, sizeof link->config);
  MINIML_FLASH_COPY(&link->model, link->config.model, sizeof link->model);
}

static uint16_t layer_width(const miniml_link *link, uint8_t layer) {
  return MINIML_FLASH_U16(link->model.widths + layer - 1);
}

/* Requests. Each reads its arguments from `at` on and puts its results behind "OK". */

static error_code hello(miniml_link *link, const char *at) {
  uint32_t nonce;
  if (!miniml_take_space(&at) || !miniml_take_digits(&at, 8, &nonce) || *at) {
    return BAD_ARGS;
  }
  link->greeted = true;
  miniml_line_put(&link->answer, ' ');
  miniml_line_put(&link->answer, VERSION);
  miniml_line_put(&link->answer, ' ');
  miniml_line_put_hex(&link->answer, nonce, 8);
  miniml_line_put(&link->answer, ' ');
  miniml_line_put_id(&link->answer, link->model.model_id);
  miniml_line_put(&link->answer, ' ');
  miniml_line_put_id(&link->answer, link->config.build_id);
  return FINE;
}

static error_code info_layer(miniml_link *link, const char *at) {
  uint16_t layer;
  if (!miniml_take_number(&at, 2, &layer) || *at) {
    return BAD_ARGS;
  }
  if (layer == 0 || layer > link->model.n_layers) {
    return OUT_OF_RANGE;
  }
  miniml_line_put_hex(&link->answer, layer_width(link, (uint8_t)layer), 4);
  return FINE;
}

static error_code info(miniml_link *link, const char *at) {
  miniml_link_line *const answer = &link->answer;
  miniml_line_put(answer, ' ');
  if (!miniml_take_space(&at)) {
    return BAD_ARGS;
  }
  if (miniml_take_word(&at, MINIML_TEXT("LAYER"))) {
    return info_layer(link, at);
  }
  if (miniml_take_word(&at, MINIML_TEXT("BOARD"))) {
    miniml_line_put_field(answer, link->config.board);
    miniml_line_put(answer, ' ');
    miniml_line_put_decimal(answer, miniml_device_clock());
  } else if (miniml_take_word(&at, MINIML_TEXT("SHAPE"))) {
    miniml_line_put_hex(answer, link->model.n_inputs, 4);
    miniml_line_put(answer, ' ');
    miniml_line_put_hex(answer, link->model.n_outputs, 4);
    miniml_line_put(answer, ' ');
    miniml_line_put_hex(answer, link->model.n_layers, 2);
  } else if (miniml_take_word(&at, MINIML_TEXT("TOOL"))) {
    miniml_line_put_field(answer, MINIML_TEXT(__VERSION__));
  } else if (miniml_take_word(&at, MINIML_TEXT("SIZE"))) {
    uint16_t used, untouched;
    miniml_device_stack(&used, &untouched);
    miniml_line_put_hex(answer, used, 4);
    miniml_line_put(answer, ' ');
    miniml_line_put_hex(answer, untouched, 4);
  } else {
    return BAD_ARGS;
  }
  return *at ? BAD_ARGS : FINE;
}

/* LOAD with two digits an item, FLOAT with eight. */
static error_code load(miniml_link *link, const char *at, uint8_t digits) {
  uint16_t offset;
  if (!miniml_take_number(&at, 4, &offset) || !miniml_take_space(&at)) {
    return BAD_ARGS;
  }
  const uint8_t n = (uint8_t)(strlen(at) / digits);
  if (n == 0 || at[n * digits]) {
    return BAD_ARGS;
  }
  /* All or nothing: every digit is looked at before the first byte is stored. */
  const char *rest = at;
  uint32_t value;
  while (*rest) {
    if (!miniml_take_digits(&rest, digits, &value)) {
      return BAD_ARGS;
    }
  }
  if (offset > link->model.n_inputs || n > link->model.n_inputs - offset) {
    return OUT_OF_RANGE;
  }
  link->output_layer = 0;
  while (miniml_take_digits(&at, digits, &value)) {
    int8_t byte = (int8_t)(uint8_t)value;
    if (digits == 8) {
      float feature;
      memcpy(&feature, &value, sizeof feature);
      byte = link->model.quantize(offset, feature);
    }
    link->config.input[offset++] = byte;
  }
  return FINE;
}

static error_code run(miniml_link *link, const char *at) {
  uint16_t layers;
  if (!miniml_take_number(&at, 2, &layers) || *at) {
    return BAD_ARGS;
  }
  if (layers > link->model.n_layers) {
    return OUT_OF_RANGE;
  }
  const uint8_t layer = (uint8_t)(layers ? layers : link->model.n_layers);
  link->output = link->model.run_layers(link->config.input, layer);
  link->output_layer = layer;
  const uint16_t width = layer_width(link, layer);
  miniml_line_put(&link->answer, ' ');
  miniml_line_put_bytes(&link->answer, link->output,
                        (uint8_t)(width < BYTES_IN_ANSWER ? width : BYTES_IN_ANSWER));
  return FINE;
}

static error_code read_bytes(miniml_link *link, const char *at) {
  uint16_t layer, offset, n;
  if (!miniml_take_number(&at, 2, &layer) || !miniml_take_number(&at, 4, &offset) ||
      !miniml_take_number(&at, 2, &n) || *at) {
    return BAD_ARGS;
  }
  const int8_t *values = link->config.input;
  uint16_t width = link->model.n_inputs;
  if (layer != 0) {
    if (layer != link->output_layer) {
      return BAD_STATE;
    }
    values = link->output;
    width = layer_width(link, (uint8_t)layer);
  }
  if (n == 0 || n > BYTES_IN_ANSWER || offset > width || n > width - offset) {
    return OUT_OF_RANGE;
  }
  miniml_line_put(&link->answer, ' ');
  miniml_line_put_bytes(&link->answer, values + offset, (uint8_t)n);
  return FINE;
}

static error_code time_run(miniml_link *link, const char *at) {
  uint16_t masked;
  if (!miniml_take_number(&at, 1, &masked) || masked > 1 || *at) {
    return BAD_ARGS;
  }
  link->output_layer = 0;
  const uint32_t cycles = miniml_device_cycles(link->model.run_layers, link->config.input,
                                               link->model.n_layers, masked);
  miniml_line_put(&link->answer, ' ');
  miniml_line_put_hex(&link->answer, cycles, 8);
  return FINE;
}

static error_code echo(miniml_link *link, const char *at) {
  if (!miniml_take_space(&at) || strlen(at) > ECHO_LENGTH) {
    return BAD_ARGS;
  }
  miniml_line_put(&link->answer, ' ');
  while (*at) {
    miniml_line_put(&link->answer, *at++);
  }
  return FINE;
}

static error_code execute(miniml_link *link, const char *at) {
  if (miniml_take_word(&at, MINIML_TEXT("HELLO"))) {
    return hello(link, at);
  }
  if (!link->greeted) {
    return NEED_HELLO;
  }
  if (miniml_take_word(&at, MINIML_TEXT("LOAD"))) {
    return load(link, at, 2);
  }
  if (miniml_take_word(&at, MINIML_TEXT("FLOAT"))) {
    return load(link, at, 8);
  }
  if (miniml_take_word(&at, MINIML_TEXT("RUN"))) {
    return run(link, at);
  }
  if (miniml_take_word(&at, MINIML_TEXT("READ"))) {
    return read_bytes(link, at);
  }
  if (miniml_take_word(&at, MINIML_TEXT("TIME"))) {
    return time_run(link, at);
  }
  if (miniml_take_word(&at, MINIML_TEXT("INFO"))) {
    return info(link, at);
  }
  if (miniml_take_word(&at, MINIML_TEXT("ECHO"))) {
    return echo(link, at);
  }
  if (miniml_take_word(&at, MINIML_TEXT("RESET"))) {
    link->reset_requested = !*at;
    return *at ? BAD_ARGS : FINE;
  }
  return NO_VERB;
}

static const miniml_link_line *refuse(miniml_link_line *line, const char *sequence,
                                      error_code error) {
  miniml_line_start(line, sequence);
  miniml_line_put_field(line, MINIML_TEXT("ERR"));
  miniml_line_put(line, ' ');
  miniml_line_put_field(line, error_names[error]);
  miniml_line_finish(line);
  return line;
}

/* A line that can't be taken for a request is answered in its own buffer: the stored answer
 * stays, for its retry may still come. */
static const miniml_link_line *reject(miniml_link *link, error_code error) {
  return refuse(&link->request, "FF", error);
}

/* link->request holds "?SS VERB ARG*CCCC". */
static const miniml_link_line *answer(miniml_link *link) {
  const uint8_t length = link->request.length;
  char *const text = link->request.bytes;
  if (length < HEADER + CHECK || text[length - CHECK] != '*') {
    return reject(link, BAD_CRC);
  }
  char *const check = text + length - CHECK;
  const uint16_t crc = miniml_link_crc(text + 1, (uint8_t)(check - text - 1));
  const bool typed = memcmp(check + 1, "----", 4) == 0;
  const char *at = check + 1;
  uint32_t given;
  if (!typed && (!miniml_take_digits(&at, 4, &given) || given != crc)) {
    return reject(link, BAD_CRC);
  }
  *check = 0;
  at = text + 1;
  if (!miniml_take_digits(&at, 2, &given) || given == 0xFF || !miniml_take_space(&at)) {
    return reject(link, BAD_ARGS);
  }
  if (!typed && link->answered && crc == link->answered_crc &&
      memcmp(link->answer.bytes + 1, text + 1, 2) == 0) {
    return &link->answer;
  }
  link->answered = !typed;
  link->answered_crc = crc;
  miniml_line_start(&link->answer, text + 1);
  miniml_line_put(&link->answer, 'O');
  miniml_line_put(&link->answer, 'K');
  const error_code error = execute(link, at);
  if (error) {
    return refuse(&link->answer, text + 1, error);
  }
  miniml_line_finish(&link->answer);
  return &link->answer;
}

const miniml_link_line *miniml_link_receive(miniml_link *link, char byte) {
  miniml_link_line *const request = &link->request;
  if (byte == '?') {
    link->collecting = true;
    request->length = 0;
  }
  if (!link->collecting || byte == '\r') {
    return 0;
  }
  if (byte == '\n') {
    link->collecting = false;
    return request->length == MINIML_LINK_LINE ? reject(link, TOO_LONG) : answer(link);
  }
  /* A line that fits leaves a byte free, which the line feed would have taken. */
  if (request->length < MINIML_LINK_LINE) {
    request->bytes[request->length++] = byte;
  }
  return 0;
}
