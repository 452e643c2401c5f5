#include "miniml_link.h"

#include "miniml_device.h"

#ifdef __AVR__
#define MINIML_TEXT(text) PSTR(text)
#else
#define MINIML_TEXT(text) (text)
#endif

#define VERSION 1
/* Bytes of a layer in one answer. */
#define BYTES_IN_ANSWER 22
#define ECHO_LENGTH 40
/* "?SS " and "*CCCC". */
#define HEADER 4
#define CHECK 5

typedef enum {
  NO_ERROR,
  ERROR_HELLO,
  ERROR_CRC,
  ERROR_LONG,
  ERROR_VERB,
  ERROR_ARGS,
  ERROR_RANGE,
  ERROR_STATE
} error_code;

static const char error_names[][6] MINIML_FLASH = {"",     "HELLO", "CRC",   "LONG",
                                                   "VERB", "ARGS",  "RANGE", "STATE"};

typedef enum {
  VERB_HELLO,
  VERB_INFO_BOARD,
  VERB_INFO_SHAPE,
  VERB_INFO_LAYER,
  VERB_INFO_TOOL,
  VERB_INFO_SIZE,
  VERB_LOAD,
  VERB_FLOAT,
  VERB_RUN,
  VERB_READ,
  VERB_TIME,
  VERB_ECHO,
  VERB_RESET,
  VERB_COUNT
} verb;

/* A verb and the widths of its numbers in hex digits; '*' stands for the rest of the line. */
typedef struct {
  char name[11];
  char fields[4];
} request_shape;

#define MAX_NUMBERS 3

static const request_shape shapes[VERB_COUNT] MINIML_FLASH = {
    {"HELLO", "8"},    {"INFO BOARD", ""}, {"INFO SHAPE", ""}, {"INFO LAYER", "2"},
    {"INFO TOOL", ""}, {"INFO SIZE", ""},  {"LOAD", "4*"},     {"FLOAT", "4*"},
    {"RUN", "2"},      {"READ", "242"},    {"TIME", "1"},      {"ECHO", "*"},
    {"RESET", ""},
};

void miniml_link_start(miniml_link *link, const miniml_link_config *config) {
  memset(link, 0, sizeof *link);
  MINIML_FLASH_COPY(&link->config, config, sizeof link->config);
  MINIML_FLASH_COPY(&link->model, link->config.model, sizeof link->model);
}

static uint16_t layer_width(const miniml_link *link, uint8_t layer) {
  return MINIML_FLASH_U16(link->model.widths + layer - 1);
}

/* Bytes of n inputs or outputs. */
static uint16_t size_of(const miniml_link *link, uint16_t n) {
  return (uint16_t)(n * link->model.value_size);
}

static void put_output(miniml_link *link, const int8_t *values, uint16_t n) {
  miniml_line_put(&link->answer, ' ');
  miniml_line_put_bytes(&link->answer, values, (uint8_t)n);
}

/* LOAD with two digits an item, of input bytes; FLOAT with eight, of features. */
static error_code load(miniml_link *link, uint16_t offset, const char *at, uint8_t digits) {
  const uint16_t room = digits == 2 ? size_of(link, link->model.n_inputs) : link->model.n_inputs;
  const uint8_t n = (uint8_t)(strlen(at) / digits);
  uint32_t value;
  if (n == 0) {
    return ERROR_ARGS;
  }
  /* All or nothing: every digit is looked at before the first byte is stored. */
  for (const char *rest = at; *rest;) {
    if (!miniml_take_digits(&rest, digits, &value)) {
      return ERROR_ARGS;
    }
  }
  if (offset > room || n > room - offset) {
    return ERROR_RANGE;
  }
  link->output_layer = 0;
  int8_t *const input = (int8_t *)link->config.input;
  for (; miniml_take_digits(&at, digits, &value); offset++) {
    if (digits == 2) {
      input[offset] = (int8_t)(uint8_t)value;
    } else if (link->model.value_size == 1) {
      float feature;
      memcpy(&feature, &value, sizeof feature);
      input[offset] = link->model.quantize(offset, feature);
    } else {
      memcpy(input + size_of(link, offset), &value, sizeof value);
    }
  }
  return NO_ERROR;
}

static error_code run(miniml_link *link, uint8_t layer) {
  if (layer > link->model.n_layers) {
    return ERROR_RANGE;
  }
  if (layer == 0) {
    layer = link->model.n_layers;
  }
  link->output = link->model.run_layers((const int8_t *)link->config.input, layer);
  link->output_layer = layer;
  const uint16_t size = size_of(link, layer_width(link, layer));
  put_output(link, link->output, size < BYTES_IN_ANSWER ? size : BYTES_IN_ANSWER);
  return NO_ERROR;
}

static error_code read_bytes(miniml_link *link, uint8_t layer, uint16_t offset, uint16_t n) {
  const int8_t *values = (const int8_t *)link->config.input;
  uint16_t width = link->model.n_inputs;
  if (layer != 0) {
    if (layer != link->output_layer) {
      return ERROR_STATE;
    }
    values = link->output;
    width = layer_width(link, layer);
  }
  const uint16_t size = size_of(link, width);
  if (n == 0 || n > BYTES_IN_ANSWER || offset > size || n > size - offset) {
    return ERROR_RANGE;
  }
  put_output(link, values + offset, n);
  return NO_ERROR;
}

/* Puts the results of a well-formed request behind "OK". */
static error_code execute(miniml_link *link, verb which, const uint32_t *numbers,
                          const char *rest) {
  miniml_link_line *const answer = &link->answer;
  const miniml_model *const model = &link->model;
  switch (which) {
  case VERB_HELLO:
    link->greeted = true;
    miniml_line_put_number(answer, VERSION, 1);
    miniml_line_put_number(answer, numbers[0], 8);
    miniml_line_put_id(answer, model->model_id);
    miniml_line_put_id(answer, link->config.build_id);
    return NO_ERROR;
  case VERB_INFO_BOARD:
    miniml_line_put_field(answer, link->config.board);
    miniml_line_put_decimal(answer, miniml_device_clock());
    return NO_ERROR;
  case VERB_INFO_SHAPE:
    miniml_line_put_number(answer, model->n_inputs, 4);
    miniml_line_put_number(answer, model->n_outputs, 4);
    miniml_line_put_number(answer, model->n_layers, 2);
    if (model->value_size != 1) {
      miniml_line_put_number(answer, model->value_size, 2);
    }
    return NO_ERROR;
  case VERB_INFO_LAYER:
    if (numbers[0] == 0 || numbers[0] > model->n_layers) {
      return ERROR_RANGE;
    }
    miniml_line_put_number(answer, layer_width(link, (uint8_t)numbers[0]), 4);
    return NO_ERROR;
  case VERB_INFO_TOOL:
    miniml_line_put_field(answer, MINIML_TEXT(__VERSION__));
    return NO_ERROR;
  case VERB_INFO_SIZE: {
    uint16_t used, untouched;
    miniml_device_stack(&used, &untouched);
    miniml_line_put_number(answer, used, 4);
    miniml_line_put_number(answer, untouched, 4);
    return NO_ERROR;
  }
  case VERB_LOAD:
    return load(link, (uint16_t)numbers[0], rest, 2);
  case VERB_FLOAT:
    return load(link, (uint16_t)numbers[0], rest, 8);
  case VERB_RUN:
    return run(link, (uint8_t)numbers[0]);
  case VERB_READ:
    return read_bytes(link, (uint8_t)numbers[0], (uint16_t)numbers[1], (uint16_t)numbers[2]);
  case VERB_TIME:
    if (numbers[0] > 1) {
      return ERROR_ARGS;
    }
    link->output_layer = 0;
    miniml_line_put_number(answer,
                           miniml_device_cycles(model->run_layers,
                                                (const int8_t *)link->config.input, model->n_layers,
                                                numbers[0] != 0),
                           8);
    return NO_ERROR;
  case VERB_ECHO:
    if (strlen(rest) > ECHO_LENGTH) {
      return ERROR_ARGS;
    }
    miniml_line_put(answer, ' ');
    while (*rest) {
      miniml_line_put(answer, *rest++);
    }
    return NO_ERROR;
  case VERB_RESET:
    link->reset_requested = true;
    return NO_ERROR;
  default:
    return ERROR_VERB;
  }
}

/* Reads "VERB ARG ARG" by the shapes. */
static error_code parse(miniml_link *link, const char *at) {
  uint8_t which = 0;
  while (which < VERB_COUNT && !miniml_take_word(&at, shapes[which].name)) {
    which++;
  }
  if (which != VERB_HELLO && !link->greeted) {
    return ERROR_HELLO;
  }
  if (which == VERB_COUNT) {
    return ERROR_VERB;
  }
  uint32_t numbers[MAX_NUMBERS];
  uint32_t *number = numbers;
  const char *field = shapes[which].fields;
  for (char width; (width = MINIML_FLASH_CHAR(field)) != 0; field++) {
    if (*at++ != ' ') {
      return ERROR_ARGS;
    }
    if (width == '*') {
      return execute(link, (verb)which, numbers, at);
    }
    if (!miniml_take_digits(&at, (uint8_t)(width - '0'), number++)) {
      return ERROR_ARGS;
    }
  }
  return *at ? ERROR_ARGS : execute(link, (verb)which, numbers, at);
}

static const miniml_link_line *refuse(miniml_link_line *line, const char *sequence,
                                      error_code error) {
  miniml_line_start(line, sequence, MINIML_TEXT("ERR"));
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
    return reject(link, ERROR_CRC);
  }
  char *const check = text + length - CHECK;
  const uint16_t crc = miniml_link_crc(text + 1, (uint8_t)(check - text - 1));
  const bool typed = memcmp(check + 1, "----", 4) == 0;
  const char *at = check + 1;
  uint32_t given;
  if (!typed && (!miniml_take_digits(&at, 4, &given) || given != crc)) {
    return reject(link, ERROR_CRC);
  }
  *check = 0;
  at = text + 1;
  if (!miniml_take_digits(&at, 2, &given) || given == 0xFF || *at++ != ' ') {
    return reject(link, ERROR_ARGS);
  }
  if (!typed && link->answered && crc == link->answered_crc &&
      memcmp(link->answer.bytes + 1, text + 1, 2) == 0) {
    return &link->answer;
  }
  link->answered = !typed;
  link->answered_crc = crc;
  miniml_line_start(&link->answer, text + 1, MINIML_TEXT("OK"));
  const error_code error = parse(link, at);
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
    return request->length == MINIML_LINK_LINE ? reject(link, ERROR_LONG) : answer(link);
  }
  /* A line that fits leaves a byte free, which the line feed would have taken. */
  if (request->length < MINIML_LINK_LINE) {
    request->bytes[request->length++] = byte;
  }
  return 0;
}
