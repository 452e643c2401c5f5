"""The devices' programs: the link's C as the boards have it, for this machine and for an Uno."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from miniml.adapters import int8
from miniml.cost.benchmark import KERNEL
from miniml.errors import UsageError
from miniml.model import QuantizedModel

LINK = KERNEL.parents[1] / "MiniMLLink" / "src"
BUILD_ID = "5EED" * 16
FLASH_BYTES = 32 * 1024
# TIME's figures on this machine are made up: they are compared, not judged.
MASKED_CYCLES, UNMASKED_CYCLES = 1000, 1007

_COMMON = f"""
#include <miniml_device.h>
#include <miniml_link.h>
#include "model.h"

static int8_t input[M0_N_INPUTS] __attribute__((aligned(4)));
static const char board[] MINIML_FLASH = "UNO";
static const char build_id[] MINIML_FLASH = "{BUILD_ID}";
static const miniml_link_config config MINIML_FLASH = {{&m0_model, input, board, build_id}};
static miniml_link link_;
"""

_HOST = f"""
#include <unistd.h>
{_COMMON}
uint32_t miniml_device_cycles(miniml_run_function run, const int8_t *in, uint8_t n_layers,
                              bool masked) {{
  run(in, n_layers);
  return masked ? {MASKED_CYCLES} : {UNMASKED_CYCLES};
}}
uint32_t miniml_device_clock(void) {{ return 16000000; }}
void miniml_device_stack(uint16_t *used, uint16_t *untouched) {{ *used = *untouched = 0x0100; }}

int main(void) {{
  miniml_link_start(&link_, &config);
  for (char byte; read(0, &byte, 1) == 1;) {{
    const miniml_link_line *line = miniml_link_receive(&link_, byte);
    if (line && write(1, line->bytes, line->length) != line->length) {{
      return 1;
    }}
    if (link_.reset_requested) {{
      miniml_link_start(&link_, &config);
    }}
  }}
  return 0;
}}
"""

# As the Arduino core has it: 115,200 baud with U2X, an interrupt that fills a ring of 64 bytes and
# drops what doesn't fit.
_UNO = f"""
#include <avr/interrupt.h>
#include <avr/io.h>
{_COMMON}
static volatile uint8_t ring[64], head, tail;

ISR(USART_RX_vect) {{
  const uint8_t byte = UDR0, next = (uint8_t)(head + 1) & 63;
  if (next != tail) {{
    ring[head] = byte;
    head = next;
  }}
}}

int main(void) {{
  UCSR0A = _BV(U2X0);
  UBRR0 = 16;
  UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
  UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
  sei();
  miniml_link_start(&link_, &config);
  for (;;) {{
    if (head == tail) {{
      continue;
    }}
    const char byte = (char)ring[tail];
    tail = (uint8_t)(tail + 1) & 63;
    const miniml_link_line *line = miniml_link_receive(&link_, byte);
    for (uint8_t i = 0; line && i < line->length; i++) {{
      while (!(UCSR0A & _BV(UDRE0))) {{
      }}
      UDR0 = (uint8_t)line->bytes[i];
    }}
    if (link_.reset_requested) {{
      miniml_device_reset();
    }}
  }}
}}
"""


def host_program(model: QuantizedModel, folder: Path) -> Path:
    """The link on standard input and output, with `model`, whose name is m0.

    Raises:
        UsageError: no C compiler, or the compilation failed.
    """
    source, program = _write(model, folder, _HOST), folder / "link"
    sources = [source, *_kernel(), LINK / "miniml_link.c", LINK / "miniml_link_text.c"]
    flags = ["-O1", "-Wall", "-Wextra", *(f"-I{place}" for place in (folder, KERNEL, LINK))]
    _run([os.environ.get("CC", "cc"), *flags, "-o", str(program), *map(str, sources)], "gcc")
    return program


def uno_image(model: QuantizedModel, folder: Path) -> bytes:
    """The same for an ATmega328P at 16 MHz: the bytes of its whole flash.

    Raises:
        UsageError: avr-gcc is missing, or the compilation failed.
    """
    source = _write(model, folder, _UNO)
    elf, image = folder / "uno.elf", folder / "uno.bin"
    flags = ["-mmcu=atmega328p", "-DF_CPU=16000000UL", "-Os", "-std=gnu11", "-Wall", "-Wextra"]
    flags += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
    flags += [f"-I{place}" for place in (folder, KERNEL, LINK)]
    sources = [source, *_kernel(), *sorted(LINK.glob("*.c"))]
    _run(["avr-gcc", *flags, "-o", str(elf), *map(str, sources)], "gcc-avr and avr-libc")
    _run(["avr-objcopy", "-O", "binary", str(elf), str(image)], "binutils-avr")
    return image.read_bytes().ljust(FLASH_BYTES, b"\xff")


def _kernel() -> list[Path]:
    return sorted(KERNEL.glob("*.c"))


def _write(model: QuantizedModel, folder: Path, program: str) -> Path:
    (folder / "model.h").write_text(int8.generate(model, "nothing"), encoding="utf-8")
    source = folder / "main.c"
    source.write_text(program, encoding="utf-8")
    return source


def _run(command: list[str], packages: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise UsageError(f"{command[0]} is missing: install {packages}") from None
    except subprocess.CalledProcessError as error:
        reason = next((line for line in error.stderr.splitlines() if "error" in line), "?")
        raise UsageError(f"can't compile the link: {reason.strip()}") from error
