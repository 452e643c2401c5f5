/* The firmware of the simulated boards' tests: echoes, and acts on a few capital letters. */
#include <stdbool.h>
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

#ifdef STM32F405
#define STACK_TOP 0x20020000
#define SYSTICK_CYCLES 16000 /* 1 ms of the 16 MHz HSI */
static void uart_begin(void) {
  REG(0x40011008) = 139; /* 16 MHz / 115200 */
  REG(0x4001100C) = 0x200C;
}
static bool readable(void) {
  return REG(0x40011000) & 0x20;
}
static bool writable(void) {
  return REG(0x40011000) & 0x80;
}
#define DATA 0x40011004
#else
#define STACK_TOP 0x20042000
#define SYSTICK_CYCLES 12000
static void uart_begin(void) {
  REG(0x40024000) = 0xFABAA0; /* crystal */
  while (!(REG(0x40024004) >> 31)) {
  }
  REG(0x40008030) = 2; /* clk_ref: 12 MHz; clk_sys follows it */
  REG(0x4000F000) = 1u << 22;
  while (!(REG(0x4000C008) >> 22 & 1)) {
  }
  REG(0x40034024) = 6; /* 12 MHz / 16 / 115200 = 6.51 */
  REG(0x40034028) = 33;
  REG(0x4003402C) = 0x70;
  REG(0x40034030) = 0x301;
}
static bool readable(void) {
  return !(REG(0x40034018) & 0x10);
}
static bool writable(void) {
  return !(REG(0x40034018) & 0x20);
}
#define DATA 0x40034000
#endif

static volatile uint32_t ticks;

static void put(uint8_t value) {
  while (!writable()) {
  }
  REG(DATA) = value;
}

static void put_text(const char *text) {
  while (*text)
    put((uint8_t)*text++);
}

static void put_hex(uint32_t value) {
  for (int shift = 28; shift >= 0; shift -= 4)
    put((uint8_t) "0123456789ABCDEF"[value >> shift & 15]);
  put('\n');
}

/* SysTick cycles of a call of four instructions: nop, nop, nop, bx. */
__attribute__((naked, noinline, aligned(4))) static void three_nops(void) {
  __asm__ volatile("nop\nnop\nnop\nbx lr");
}

static uint32_t timed(void) {
  uint32_t begin = REG(0xE000E018);
  three_nops();
  return begin - REG(0xE000E018);
}

__attribute__((noinline)) static void busy(uint32_t count) {
  for (volatile uint32_t i = 0; i < count; i++) {
  }
}

static void act(uint8_t letter) {
  switch (letter) {
  case 'T':
    put_hex(ticks);
    break;
  case 'C':
    put_hex(timed());
    break;
  case 'F':
    REG(0x90000000);
    break;
  case 'R':
    REG(0xE000ED0C) = 0x05FA0004;
    break;
  case 'S':
    __asm__ volatile("svc #7");
    break;
  case 'W':
    __asm__ volatile("wfi");
    put('W');
    break;
  case 'B':
    busy(20000);
    break;
  case 'L':
    while (readable() || true) { /* never looks at the host again */
    }
    break;
  default:
    put(letter);
  }
}

static void main_loop(void) {
  ticks = 0;
  REG(0xE000E014) = SYSTICK_CYCLES - 1;
  REG(0xE000E018) = 0;
  REG(0xE000E010) = 7;
  uart_begin();
  put_text("BOOT\n");
  for (;;)
    if (readable())
      act((uint8_t)REG(DATA));
}

void reset(void) {
  main_loop();
}
static void on_hard_fault(void) {
  put_text("HARDFAULT\n");
  for (;;) {
  }
}
static void on_svc(void) {
  put_text("SVC\n");
}
static void on_tick(void) {
  ticks = ticks + 1;
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    (void *)STACK_TOP,     (void *)reset,         (void *)on_hard_fault,
    (void *)on_hard_fault, [11] = (void *)on_svc, [15] = (void *)on_tick};
