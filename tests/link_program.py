"""The link's C core on this machine, with a random model and a device that makes things up."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from host_program import KERNEL, LINK, compile_program, run_program
from random_models import random_model

from miniml.adapters import int8
from miniml.model import QuantizedModel

BUILD_ID = "fedcba9876543210" * 4
CLOCK_HZ = 16_000_000

# What a host has to bring; BUILD_ID_HERE is replaced.
DEVICE = r"""
#include <miniml_device.h>
#include <miniml_link.h>
#include <stdio.h>
#include "random_model.h"

static int8_t input[RANDOM_N_INPUTS];
static const char board[] = "UNO";
static const char build_id[] = "BUILD_ID_HERE";
static const miniml_link_config config = {&random_model, input, board, build_id};
static int runs;

uint32_t miniml_device_cycles(miniml_run_function run, const int8_t *in, uint8_t n_layers,
                              bool masked) {
  run(in, n_layers);
  return (masked ? 0x10000u : 0x20000u) + (uint32_t)++runs;
}
uint32_t miniml_device_clock(void) { return 16000000; }
void miniml_device_stack(uint16_t *used, uint16_t *untouched) {
  *used = 0x0123;
  *untouched = 0xFFFE;
}

"""

MAIN = (
    DEVICE
    + r"""
int main(void) {
  static miniml_link link;
  miniml_link_start(&link, &config);
  for (int byte; (byte = getchar()) != EOF;) {
    const miniml_link_line *line = miniml_link_receive(&link, (char)byte);
    if (line) {
      fwrite(line->bytes, 1, line->length, stdout);
    }
    if (link.reset_requested) {
      fputs("reset\n", stdout);
      link.reset_requested = false;
    }
  }
  return 0;
}
"""
)


def link_model() -> QuantizedModel:
    """30 inputs, layers of 25, 3 and 10 outputs."""
    return random_model(np.random.default_rng(5), widths=(30, 25, 3, 10))


def link_program(folder: Path) -> Path:
    """Reads the host's bytes on standard input, writes the device's."""
    return compile_program(
        folder,
        MAIN.replace("BUILD_ID_HERE", BUILD_ID),
        headers={"random_model.h": int8.generate(link_model(), "nothing")},
        sources=[*KERNEL.glob("*.c"), LINK / "miniml_link.c", LINK / "miniml_link_text.c"],
    )


def request(sequence: int, text: str) -> bytes:
    """One line of the host."""
    body = f"{sequence:02X} {text}".encode()
    return b"?%s*%04X\n" % (body, binascii.crc_hqx(body, 0))


def answers(program: Path, lines: Iterable[bytes]) -> list[str]:
    """The device's lines, their length and CRC checked and taken off."""
    found = []
    for line in run_program(program, b"".join(lines)).splitlines(keepends=True):
        if line == b"reset\n":
            found.append("reset")
            continue
        assert len(line) <= 62
        assert line.startswith(b"!")
        assert line.endswith(b"\n")
        body, star, crc = line[1:-1].rpartition(b"*")
        assert star
        assert crc == b"%04X" % binascii.crc_hqx(body, 0)
        found.append(body.decode("ascii"))
    return found
