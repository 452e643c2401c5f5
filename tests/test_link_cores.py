"""Cycle counters, stack paint and clock of miniml_device.h, on simulated cores.

What an AVR's TIME and INFO SIZE say of a whole firmware is checked on the simulated boards.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from host_program import KERNEL, LINK

from miniml.cost.elf_symbols import symbols
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import Machine
from miniml.sim.avr.batch import BatchResult, run_batch

NOT_COUNTED = 0xFFFFFFFF

# Counts runs of known length, with Timer1 in use by somebody else; marks tell the results.
AVR_MAIN = r"""
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include "miniml_device.h"

static void mark(uint32_t value) {
  for (uint8_t i = 0; i < 4; i++, value >>= 8) {
    GPIOR0 = (uint8_t)value;
  }
}

/* One function a length: the counter calls them through one pointer. */
#define RUN(n) \
  static const int8_t *run_##n(const int8_t *in, uint8_t n_layers) { \
    (void)n_layers; \
    __builtin_avr_delay_cycles(n##ul); \
    return in; \
  }
RUN(1) RUN(1000) RUN(65000) RUN(65536) RUN(65560) RUN(131072) RUN(1000000) RUN(10000000)
static const int8_t *run_0(const int8_t *in, uint8_t n_layers) { (void)n_layers; return in; }
static const miniml_run_function runs[] = {run_0, run_1, run_1000, run_65000, run_65536,
                                           run_65560, run_131072, run_1000000, run_10000000};

int main(void) {
  TCCR1A = 0x81;
  OCR1A = 77;
  TIMSK1 = 0;
  TCCR1B = 0;
  TCNT1 = 123;
  sei();
  for (uint8_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    mark(miniml_device_cycles(runs[i], 0, 1, true));
    mark(miniml_device_cycles(runs[i], 0, 1, false));
  }
  mark(TCCR1A | (uint32_t)TCCR1B << 8 | (uint32_t)TCNT1 << 16);
  mark(TIMSK1 | (uint32_t)OCR1A << 8 | (uint32_t)(SREG & 0x80) << 16 | (uint32_t)TIFR1 << 24);
  mark(miniml_device_clock());
  cli();
  sleep_mode();
}
"""
LENGTHS = (0, 1, 1000, 65000, 65536, 65560, 131072, 1000000, 10000000)


def run_avr(folder: Path, main: str, *sources: str) -> BatchResult:
    (folder / "main.c").write_text(main)
    program = folder / "program.elf"
    command = ["avr-gcc", "-mmcu=atmega328p", "-DF_CPU=16000000L", "-std=gnu11", "-Os", "-flto"]
    command += [f"-I{KERNEL}", f"-I{LINK}", "-o", str(program), str(folder / "main.c")]
    subprocess.run([*command, *(str(LINK / source) for source in sources)], check=True)
    return run_batch(program, cycles=200_000_000)


def marked_words(result: BatchResult) -> list[int]:
    values = bytes(mark.value for mark in result.marks)
    return [int.from_bytes(values[i : i + 4], "little") for i in range(0, len(values), 4)]


def test_timer1_counts_to_the_cycle_and_is_given_back(tmp_path: Path) -> None:
    words = marked_words(run_avr(tmp_path, AVR_MAIN, "cycles_timer1.c", "device_avr.c"))
    masked, unmasked = words[0:-3:2], words[1:-3:2]
    # An empty function takes as long as the one that is subtracted.
    assert masked == list(LENGTHS)
    assert unmasked == masked
    registers, others, clock = words[-3:]
    assert registers == 0x81 | 0 << 8 | 123 << 16
    assert others == 0 | 77 << 8 | 0x80 << 16 | 0 << 24
    assert clock == 16_000_000


AVR_STACK = r"""
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include "miniml_device.h"

static volatile uint8_t sink;

__attribute__((noinline)) static void deep(uint8_t levels) {
  volatile uint8_t frame[40];
  for (uint8_t i = 0; i < sizeof frame; i++) {
    frame[i] = levels;
  }
  if (levels) {
    deep(levels - 1);
  }
  sink = frame[0];
}

int main(void) {
  uint16_t used, untouched;
  deep(LEVELS);
  miniml_device_stack(&used, &untouched);
  GPIOR0 = (uint8_t)used;
  GPIOR0 = (uint8_t)(used >> 8);
  GPIOR0 = (uint8_t)untouched;
  GPIOR0 = (uint8_t)(untouched >> 8);
  cli();
  sleep_mode();
}
"""


@pytest.mark.parametrize("levels", [1, 5, 20])
def test_painted_stack_is_the_simulator_s_lowest_sp(tmp_path: Path, levels: int) -> None:
    result = run_avr(tmp_path, AVR_STACK.replace("LEVELS", str(levels)), "stack_avr.c")
    (word,) = marked_words(result)
    used, untouched = word & 0xFFFF, word >> 16
    # The stack pointer points below the last byte in use; 0x8FF is the last of the SRAM.
    assert used == 0x8FF - result.sp_min
    assert used + untouched == 2048 - 1  # .data and .bss hold nothing but `sink`


ARM_MAIN = r"""
#include "miniml_device.h"

uint32_t SystemCoreClock = 123456789;
void *_sbrk(int increment) { (void)increment; return 0; }

const int8_t *benchmark_loop(const int8_t *in, uint8_t n_layers);
const int8_t *benchmark_loop(const int8_t *in, uint8_t n_layers) {
  (void)n_layers;
  for (uint32_t passes = (uint32_t)in; passes; passes--) {
    __asm__ volatile("");
  }
  return in;
}

/* SysTick, as the core's clock uses it, wraps `rest` cycles from now; the wait sets the moment. */
#define SYST ((volatile uint32_t *)0xE000E010)
uint32_t count_near_wrap(uint32_t passes, uint32_t rest, uint32_t wait);
uint32_t count_near_wrap(uint32_t passes, uint32_t rest, uint32_t wait) {
  SYST[1] = rest;
  SYST[2] = 0;
  SYST[0] = 5;
  (void)SYST[2];
  SYST[1] = 125000 - 1;
  while (wait--) {
    __asm__ volatile("");
  }
  const uint32_t cycles = miniml_device_cycles(benchmark_loop, (const int8_t *)passes, 1, true);
  return (SYST[0] & 7) == 5 && SYST[1] == 125000 - 1 ? cycles : 0;
}

uint32_t count(uint32_t passes, uint32_t masked);
uint32_t count(uint32_t passes, uint32_t masked) {
  return miniml_device_cycles(benchmark_loop, (const int8_t *)passes, 1, masked);
}
"""
COUNTERS = {"cortex-m4": "cycles_dwt.c", "cortex-m0plus": "cycles_systick.c"}


@pytest.mark.parametrize("core", COUNTERS)
def test_arm_counters_count_to_the_cycle(tmp_path: Path, core: str) -> None:
    (tmp_path / "main.c").write_text(ARM_MAIN)
    program = tmp_path / "program.elf"
    flash = "0x08000000" if core == "cortex-m4" else "0x10000000"
    flags = [f"-mcpu={core}", "-mthumb", "-Os", "-std=gnu11", "-nostartfiles", "-Wl,-e,count"]
    flags += [f"-Wl,-Ttext={flash},-Tdata=0x20000000", f"-I{KERNEL}", f"-I{LINK}"]
    sources = [str(tmp_path / "main.c"), str(LINK / COUNTERS[core]), str(LINK / "device_arm.c")]
    command = ["arm-none-eabi-gcc", *flags, "--specs=nano.specs", "-o", str(program), *sources]
    subprocess.run(command, check=True)
    machine = Machine.bare("cortex-m4" if core == "cortex-m4" else "cortex-m0plus")
    try:
        machine.load_elf(program)
        found = symbols(program)

        def call(name: str, *arguments: int) -> int:
            result = machine.call(found[name][0], *arguments)
            assert result.stop is Stop.TRAP
            return result.value

        def true_cycles(passes: int) -> int:
            empty = machine.call(found["miniml_empty_run"][0], passes, 1).cycles
            return machine.call(found["benchmark_loop"][0], passes, 1).cycles - empty

        for passes in (1, 10, 1000, 300_000):
            for masked in (1, 0):
                assert call("count", passes, masked) == true_cycles(passes)
        assert call("miniml_device_clock") == 123_456_789
        for rest in range(1, 70):
            for wait in (0, 1, 2, 5):
                assert call("count_near_wrap", 10, rest, wait) == true_cycles(10)
        # 2^24 cycles are more than SysTick holds; DWT goes on.
        long = 6_000_000
        expected = NOT_COUNTED if core == "cortex-m0plus" else true_cycles(long)
        assert call("count", long, 1) == expected
    finally:
        machine.close()
