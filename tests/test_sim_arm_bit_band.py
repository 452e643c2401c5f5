"""The bit-band aliases of the simulated STM32F405, by instructions of its core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_arm_program import assemble

from miniml.sim.arm.bit_band import BitBandBus
from miniml.sim.arm.machine import Machine
from miniml.sim.arm.memory import Memory
from miniml.sim.arm.stm32f405 import Stm32f405

PROGRAM = """
.global poke, peek
.thumb_func
poke: str r1, [r0]
  bx lr
.thumb_func
peek: ldr r0, [r0]
  bx lr
"""
RCC_CR = 0x4002_3800
# As ST's HAL has them: RCC_CR_HSEON_BB, RCC_CR_PLLON_BB (stm32f4xx_hal_rcc.h).
HSEON, PLLON = 0x4247_0040, 0x4247_0060
STACK = 0x2000_8000


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Stm32f405]:
    board = Stm32f405(tmp_path / "state", realtime=False)
    try:
        board.build()
        assert board.machine is not None
        board.machine.load_elf(assemble(tmp_path, "cortex-m4", PROGRAM))
        board.machine.reset(0x0800_0000)
        yield board
    finally:
        board.shut_down()


def call(board: Stm32f405, name: str, *arguments: int) -> int:
    machine = board.machine
    assert isinstance(machine, Machine)
    result = machine.call(machine.symbols[name] & ~1, *arguments, sp=STACK)
    assert machine.core.faults == 0
    return result.value


def test_the_pll_is_switched_on_as_the_official_hal_does_it(board: Stm32f405) -> None:
    before = call(board, "peek", RCC_CR)
    assert before >> 24 & 3 == 0
    call(board, "poke", PLLON, 1)
    assert call(board, "peek", RCC_CR) == before | 3 << 24, "on, and ready"
    assert (call(board, "peek", PLLON), call(board, "peek", PLLON + 4)) == (1, 1)
    call(board, "poke", PLLON, 0xFFFF_FFFE)
    assert call(board, "peek", RCC_CR) == before
    assert call(board, "peek", HSEON) == 0


def test_every_bit_of_a_word_of_sram(board: Stm32f405) -> None:
    machine = board.machine
    assert machine is not None
    machine.write(0x2000_0104, (0xA5C3_0F81).to_bytes(4, "little"))
    alias = 0x2200_0000 + 0x104 * 32
    bits = [call(board, "peek", alias + 4 * bit) for bit in range(32)]
    assert sum(bit << number for number, bit in enumerate(bits)) == 0xA5C3_0F81
    for bit in (0, 31):
        call(board, "poke", alias + 4 * bit, 0)
    call(board, "poke", alias + 4 * 1, 0x8000_0001)
    assert int.from_bytes(machine.read(0x2000_0104, 4), "little") == 0x25C3_0F82
    assert machine.read(0x2000_0100, 4) + machine.read(0x2000_0108, 4) == bytes(8)


class Words:
    """A bus that is a dictionary of words."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}

    def read(self, address: int, size: int) -> int:
        return self.words.get(address, 0)

    def write(self, address: int, size: int, value: int) -> None:
        self.words[address] = value


@given(
    st.sampled_from([(0x2000_0000, 0x2200_0000), (0x4000_0000, 0x4200_0000)]),
    st.integers(0, (1 << 13) - 1),
    st.integers(0, 7),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_the_formula_of_the_manual(
    region: tuple[int, int], byte: int, bit: int, old: int, value: int
) -> None:
    base, alias = region
    peripherals, sram = Words(), Memory("SRAM", [0x2000_0000], 1 << 13)
    bus = BitBandBus(peripherals, sram)
    word = byte & ~3
    if base == 0x4000_0000:
        peripherals.words[base + word] = old
    else:
        sram.load(old.to_bytes(4, "little"), word)
    # TRM 100166, 3.7: bit_word_addr = bit_band_base + byte_offset * 32 + bit_number * 4
    address = alias + byte * 32 + bit * 4
    place = 8 * (byte & 3) + bit
    assert bus.read(address, 4) == old >> place & 1
    bus.write(address, 4, value)
    expected = old & ~(1 << place) | (value & 1) << place
    inside = int.from_bytes(sram.content[word : word + 4], "little")
    assert (peripherals.words[base + word] if base == 0x4000_0000 else inside) == expected
    bus.write(0x5000_0000, 4, 7)
    assert bus.read(0x5000_0000, 4) == 7
