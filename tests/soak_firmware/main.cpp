// For tests/soak_bench.py: the model many times a request, with counters shortly before their wrap.
//
// The link sees one layer: LOAD writes a Request, RUN does it, READ gets the Answer. Both are
// packed, little endian, as soak_bench.py has them.
#include <Arduino.h>
#include <MiniMLLink.h>
#include <miniml.h>
#include <miniml_device.h>

#include "../../firmware/src/build_id.cpp"
#include "miniml_firmware.h"

#define ROWS 16
#define BATCHES 4

struct __attribute__((packed)) Request {
  uint32_t clocks[2];        // addresses of millis()'s and micros()'s counts; 0: none
  uint32_t batches[BATCHES]; // inferences in one measured run
  uint16_t rounds;
  int8_t rows[ROWS][MINIML_MODEL_CONSTANT(N_INPUTS)];
};

struct __attribute__((packed)) Answer {
  int8_t outputs[ROWS][MINIML_MODEL_CONSTANT(N_OUTPUTS)]; // of the first round
  uint32_t cycles[ROWS];                                  // of the first round
  uint32_t batches[BATCHES];
  uint32_t inferences; // whose output and cycles were compared, the first round's included
  uint16_t wrong_outputs, wrong_cycles, wrong_registers, wrong_millis, wraps;
};

#ifndef __AVR__
// A simulator translates code page by page: what is written lies in other pages than the kernel.
static volatile uint8_t gap[4096] = {1};
#else
static volatile uint8_t gap[1];
#endif

__attribute__((aligned(4))) static Request request;
static Answer answer;
__attribute__((aligned(4))) static int8_t row[MINIML_MODEL_CONSTANT(N_INPUTS)];
static uint32_t batch;

// What others have in the counters that a measurement borrows, and whether it is there afterwards.
#if defined(__AVR__)
#include <avr/interrupt.h>

static volatile uint16_t overflows;

ISR(TIMER1_OVF_vect) {
  overflows++;
}

static void use_counters(uint16_t turn) {
  // As Servo does: prescale 8, with an interrupt.
  TCCR1A = 0;
  TCCR1B = _BV(CS11);
  OCR1A = 0x1234;
  TIMSK1 = _BV(TOIE1);
  TCNT1 = 0xFFFF - turn % 64;
}

static bool counters_kept() {
  return TCCR1A == 0 && TCCR1B == _BV(CS11) && OCR1A == 0x1234 && TIMSK1 == _BV(TOIE1);
}

static uint16_t wraps() {
  const uint16_t seen = overflows;
  overflows = 0;
  return seen;
}

#else
// ARMv6-M and ARMv7-M reference manuals, B3.3 and C1.8.
#define SYST_CSR (*(volatile uint32_t *)0xE000E010)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018)
#define DEMCR (*(volatile uint32_t *)0xE000EDFC)
#define DWT_CTRL (*(volatile uint32_t *)0xE0001000)
#define DWT_CYCCNT (*(volatile uint32_t *)0xE0001004)

static uint32_t reload, wrapped;

static void use_counters(uint16_t turn) {
  // SysTick wraps a few cycles from here; it can only be set by a reload.
  noInterrupts();
  reload = SYST_RVR;
  SYST_RVR = 1 + turn % 64;
  SYST_CVR = 0;
  (void)SYST_CVR; // it reloads with the next cycle
  (void)SYST_CVR;
  SYST_RVR = reload;
  interrupts();
#ifdef __ARM_ARCH_7EM__
  DEMCR |= UINT32_C(1) << 24;
  DWT_CTRL |= 1;
  DWT_CYCCNT = UINT32_C(0xFFFFFFFF) - (uint32_t)turn * 7 % 1024;
#endif
}

static bool counters_kept() {
#ifdef __ARM_ARCH_7EM__
  wrapped += DWT_CYCCNT < UINT32_C(0x80000000);
#else
  wrapped++; // SysTick has wrapped: it had at most 64 cycles left
#endif
  return (SYST_CSR & 7) == 7 && SYST_RVR == reload;
}

static uint16_t wraps() {
  const uint32_t seen = wrapped;
  wrapped = 0;
  return seen < 0xFFFF ? seen : 0xFFFF;
}
#endif

static const int8_t *run_model(const int8_t *in, uint8_t n_layers) {
  return MINIML_MODEL(run_layers)(in, n_layers);
}

static const int8_t *run_batch(const int8_t *in, uint8_t n_layers) {
  const int8_t *output = in;
  for (uint32_t i = 0; i < batch; i++) {
    output = run_model(in, n_layers);
  }
  return output;
}

static uint32_t count(miniml_run_function run) {
  return miniml_device_cycles(run, row, MINIML_MODEL_CONSTANT(N_LAYERS), true);
}

static const int8_t *soak(const int8_t *in, uint8_t n_layers) {
  (void)in, (void)n_layers;
  memset(&answer, 0, sizeof answer);
  for (uint8_t i = 0; i < 2; i++) {
    if (request.clocks[i]) {
      *(volatile uint32_t *)(uintptr_t)request.clocks[i] = UINT32_C(0xFFFFFFFF) - 3;
    }
  }
  uint32_t last = millis();
  for (uint16_t round = 0; round < request.rounds; round++) {
    for (uint8_t r = 0; r < ROWS; r++) {
      memcpy(row, request.rows[r], sizeof row);
      const int8_t *const output = run_model(row, MINIML_MODEL_CONSTANT(N_LAYERS));
      if (round == 0) {
        memcpy(answer.outputs[r], output, sizeof answer.outputs[r]);
      }
      answer.wrong_outputs += memcmp(answer.outputs[r], output, sizeof answer.outputs[r]) != 0;
      use_counters((uint16_t)(round * ROWS + r));
      const uint32_t cycles = count(MINIML_MODEL(run_layers));
      answer.wrong_registers += !counters_kept();
      if (round == 0) {
        answer.cycles[r] = cycles;
      }
      answer.wrong_cycles += cycles != answer.cycles[r];
      answer.inferences++;
      const uint32_t now = millis();
      answer.wrong_millis += (int32_t)(now - last) < 0;
      last = now;
    }
  }
  answer.wraps = wraps();
  for (uint8_t i = 0; i < BATCHES; i++) {
    batch = request.batches[i];
    answer.batches[i] = batch ? count(run_batch) : 0;
  }
  return (const int8_t *)&answer;
}

static const uint16_t widths[] MINIML_FLASH = {sizeof answer};
static const char model_id[] MINIML_FLASH = MINIML_MODEL_CONSTANT(MODEL_ID);
static const miniml_model soak_model MINIML_FLASH = {
    model_id, widths, sizeof request, sizeof answer, 1, 1, soak, nullptr};
static const char board_name[] MINIML_FLASH = MINIML_BOARD_NAME;
static const miniml_link_config link_config MINIML_FLASH = {&soak_model, &request, board_name,
                                                            miniml_build_id};
static MiniMLLink device_link;

void setup() {
  gap[0] = 1;
  MINIML_LINK_STREAM.begin(MINIML_LINK_BAUD);
  device_link.begin(MINIML_LINK_STREAM, link_config);
}

void loop() {
  device_link.poll();
}
