#include "miniml_link.h"

#include "miniml_device.h"
#include "miniml_known_sequence.h"

#ifdef __AVR__
#define MINIML_TEXT(text) PSTR(text)
#else
#define MINIML_TEXT(text) (text)
#endif

#define VERSION '2'
/* Bytes of a layer in one answer. */
#define BYTES_IN_ANSWER 22
#define ID_DIGITS 16
/* "?SS " and "*CCCC". */
#define HEADER 4
#define CHECK 5

enum { NO_ERROR, ERROR_HELLO, ERROR_VERB, ERROR_ARGS, ERROR_RANGE, ERROR_STATE };

typedef uint8_t error_code; /* an enumeration takes two bytes on an AVR */

static const char error_names[][6] MINIML_FLASH = {"HELLO", "VERB", "ARGS", "RANGE", "STATE"};

enum {
  VERB_HELLO,
  VERB_INFO_BOARD,
  VERB_INFO_SHAPE,
  VERB_INFO_LAYER,
  VERB_INFO_TOOL,
  VERB_INFO_SIZE,
  VERB_PUT,
  VERB_ROW,
  VERB_FLOAT,
  VERB_RUN,
  VERB_READ,
  VERB_TIME,
  VERB_ECHO,
  VERB_RESET,
#if MINIML_DEVICE_HAS_LOADER
  VERB_BOOT_LOADER,
#define VERB_BOOT_LOADER_TEXT "BOOT LOADER\0"
#else
#define VERB_BOOT_LOADER_TEXT
#endif
};

/* Each verb of above, in their order, then its fields: the width of a number in hex digits, or '*'
 * for the rest of the line. An empty one ends the list. */
static const char verbs[] MINIML_FLASH = "HELLO*\0"
                                         "INFO BOARD\0"
                                         "INFO SHAPE\0"
                                         "INFO LAYER2\0"
                                         "INFO TOOL\0"
                                         "INFO SIZE\0"
                                         "PUT4*\0"
                                         "ROW4*\0"
                                         "FLOAT4*\0"
                                         "RUN2\0"
                                         "READ242\0"
                                         "TIME1\0"
                                         "ECHO*\0"
                                         "RESET\0" VERB_BOOT_LOADER_TEXT;

#define MAX_NUMBERS 3

/* Answers to lines that are no requests, with their CRC. */
static const char damaged[] MINIML_FLASH = "!FF ERR CRC*127B\n";
static const char overlong[] MINIML_FLASH = "!FF ERR LONG*D2D0\n";

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

/* PUT, ROW: packed input bytes. FLOAT: packed features, four bytes each. */
static error_code load(miniml_link *link, uint16_t offset, char *data, bool features) {
  const bool quantized = features && link->model.quantize;
  uint16_t room = size_of(link, link->model.n_inputs);
  uint8_t n = miniml_unpack(data);
  if (n == 0) {
    return ERROR_ARGS;
  }
  if (features) {
    if (n % sizeof(float)) {
      return ERROR_ARGS;
    }
    if (offset > link->model.n_inputs) {
      return ERROR_RANGE;
    }
    if (quantized) {
      n /= sizeof(float);
    } else {
      offset = size_of(link, offset);
    }
  }
  if (offset > room || n > room - offset) {
    return ERROR_RANGE;
  }
  link->output_layer = 0;
  int8_t *const input = (int8_t *)link->config.input;
  for (; n--; offset++) {
    if (quantized) {
      float feature;
      memcpy(&feature, data, sizeof feature);
      data += sizeof feature;
      input[offset] = link->model.quantize(offset, feature);
    } else {
      input[offset] = (int8_t)*data++;
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
  miniml_line_put_bytes(&link->answer, link->output,
                        (uint8_t)(size < BYTES_IN_ANSWER ? size : BYTES_IN_ANSWER));
  return NO_ERROR;
}

static error_code read_bytes(miniml_link *link, uint8_t layer, uint16_t offset, uint8_t n) {
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
  miniml_line_put_bytes(&link->answer, values + offset, n);
  return NO_ERROR;
}

/* Puts the results of a well-formed request behind "OK". */
static error_code execute(miniml_link *link, uint8_t which, const uint16_t *numbers, char *rest) {
  miniml_link_line *const answer = &link->answer;
  const miniml_model *const model = &link->model;
  const uint16_t number = numbers[0];
  switch (which) {
  case VERB_HELLO:
    link->greeted = true;
    miniml_line_put(answer, ' ');
    miniml_line_put(answer, VERSION);
    /* fall through */
  case VERB_ECHO:
    miniml_line_put(answer, ' ');
    /* To the end, or to what could drive a terminal. */
    while ((uint8_t)(*rest - ' ') <= '~' - ' ') {
      miniml_line_put(answer, *rest++);
    }
    if (which == VERB_HELLO) {
      miniml_line_put_word(answer, model->model_id, ID_DIGITS);
      miniml_line_put_word(answer, link->config.build_id, ID_DIGITS);
    }
    break;
  case VERB_INFO_BOARD: {
    const uint32_t clock = miniml_device_clock();
    miniml_line_put_word(answer, link->config.board, MINIML_LINK_LINE);
    miniml_line_put_number(answer, &clock, sizeof clock);
    break;
  }
  case VERB_INFO_SHAPE:
    miniml_line_put_number(answer, &model->n_inputs, sizeof model->n_inputs);
    miniml_line_put_number(answer, &model->n_outputs, sizeof model->n_outputs);
    miniml_line_put_number(answer, &model->n_layers, sizeof model->n_layers);
    miniml_line_put_number(answer, &model->value_size, sizeof model->value_size);
    break;
  case VERB_INFO_LAYER: {
    if (number == 0 || number > model->n_layers) {
      return ERROR_RANGE;
    }
    const uint16_t width = layer_width(link, (uint8_t)number);
    miniml_line_put_number(answer, &width, sizeof width);
    break;
  }
  case VERB_INFO_TOOL:
    miniml_line_put_word(answer, MINIML_TEXT(__VERSION__), MINIML_LINK_LINE);
    break;
  case VERB_INFO_SIZE: {
    uint16_t used, untouched;
    miniml_device_stack(&used, &untouched);
    miniml_line_put_number(answer, &used, sizeof used);
    miniml_line_put_number(answer, &untouched, sizeof untouched);
    break;
  }
  case VERB_PUT:
  case VERB_FLOAT:
  case VERB_ROW: {
    const error_code error = load(link, number, rest, which == VERB_FLOAT);
    if (which != VERB_ROW || error) {
      return error;
    }
    return run(link, 0);
  }
  case VERB_RUN:
    return run(link, (uint8_t)number);
  case VERB_READ:
    return read_bytes(link, (uint8_t)number, numbers[1], (uint8_t)numbers[2]);
  case VERB_TIME: {
    if (number > MINIML_TIME_LAST) {
      return ERROR_ARGS;
    }
    link->output_layer = 0;
    const uint32_t cycles =
        miniml_device_cycles(number > 1 ? miniml_known_sequence : model->run_layers,
                             (const int8_t *)link->config.input, model->n_layers, number != 0);
    miniml_line_put_number(answer, &cycles, sizeof cycles);
    break;
  }
  case VERB_RESET:
    link->reset_requested = true;
    break;
#if MINIML_DEVICE_HAS_LOADER
  case VERB_BOOT_LOADER:
    link->boot_requested = true;
    break;
#endif
  }
  return NO_ERROR;
}

/* Moves `at` behind a verb's name, and returns where its fields begin; 0: another verb. */
static const char *take_name(char **at, const char *name) {
  char *next = *at;
  for (char byte; (byte = MINIML_FLASH_CHAR(name)) >= 'A' || byte == ' '; name++) {
    if (*next++ != byte) {
      return 0;
    }
  }
  if (*next != 0 && *next != ' ') {
    return 0;
  }
  *at = next;
  return name;
}

/* Reads "VERB ARG ARG" and does it. */
static error_code obey(miniml_link *link, char *at) {
  const char *name = verbs;
  const char *field;
  uint8_t which = 0;
  while ((field = take_name(&at, name)) == 0) {
    while (MINIML_FLASH_CHAR(name++)) {
    }
    which++;
    if (MINIML_FLASH_CHAR(name) == 0) {
      return link->greeted ? ERROR_VERB : ERROR_HELLO;
    }
  }
  if (which != VERB_HELLO && !link->greeted) {
    return ERROR_HELLO;
  }
  uint16_t numbers[MAX_NUMBERS] = {0};
  uint16_t *number = numbers;
  char *rest = 0;
  for (char width; (width = MINIML_FLASH_CHAR(field)) != 0; field++) {
    if (*at++ != ' ') {
      return ERROR_ARGS;
    }
    if (width == '*') {
      rest = at;
    } else if ((at = (char *)miniml_take_digits(at, (uint8_t)(width - '0'), number++)) == 0) {
      return ERROR_ARGS;
    }
  }
  if (!rest && *at) {
    return ERROR_ARGS;
  }
  return execute(link, which, numbers, rest);
}

/* A line that can't be taken for a request is answered in its own buffer: the stored answer
 * stays, for its retry may still come. */
static const miniml_link_line *reject(miniml_link *link, const char *answer) {
  link->request.length = (uint8_t)MINIML_FLASH_LENGTH(answer);
  MINIML_FLASH_COPY(link->request.bytes, answer, link->request.length);
  return &link->request;
}

/* link->request holds "?SS VERB ARG*CCCC". */
static const miniml_link_line *answer(miniml_link *link) {
  char *const text = link->request.bytes;
  char *const end = text + link->request.length;
  char *const check = end - CHECK;
  if (link->request.length < HEADER + CHECK || *check != '*') {
    return reject(link, damaged);
  }
  const uint16_t crc = miniml_link_crc(text + 1, (uint8_t)(check - text - 1));
  uint16_t number;
  *end = 0;
  char *dash = check;
  while (*++dash == '-') {
  }
  const bool typed = dash == end;
  if (!typed && (!miniml_take_digits(check + 1, 4, &number) || number != crc)) {
    return reject(link, damaged);
  }
  *check = 0;
  if (!miniml_take_digits(text + 1, 2, &number) || number == 0xFF || text[HEADER - 1] != ' ') {
    return reject(link, damaged);
  }
  if (!typed && link->answered && crc == link->answered_crc && number == link->answered_sequence) {
    return &link->answer;
  }
  link->answered = !typed;
  link->answered_crc = crc;
  link->answered_sequence = (uint8_t)number;
  miniml_line_start(&link->answer, text + 1);
  miniml_line_put_word(&link->answer, MINIML_TEXT("OK"), MINIML_LINK_LINE);
  const error_code error = obey(link, text + HEADER);
  if (error) {
    miniml_line_start(&link->answer, text + 1);
    miniml_line_put_word(&link->answer, MINIML_TEXT("ERR"), MINIML_LINK_LINE);
    miniml_line_put_word(&link->answer, error_names[error - ERROR_HELLO], MINIML_LINK_LINE);
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
    return request->length == MINIML_LINK_LINE ? reject(link, overlong) : answer(link);
  }
  /* A line that fits leaves a byte free, which the line feed would have taken. */
  if (request->length < MINIML_LINK_LINE) {
    request->bytes[request->length++] = byte;
  }
  return 0;
}
