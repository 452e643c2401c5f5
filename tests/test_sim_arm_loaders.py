"""The STM32's ROM loader and the Pico's UF2 drive, as their hosts see them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_arm_program import BOOT2, uf2

from miniml.sim.arm.memory import Memory
from miniml.sim.arm.rom_loader import ACK, NACK, SECTORS, RomLoader
from miniml.sim.arm.rp2040 import boot2_checksum
from miniml.sim.arm.uf2_drive import Uf2Drive, Uf2Error, parse_uf2

FLASH = 0x0800_0000
PICO_FLASH, PICO_BYTES = 0x1000_0000, 2 << 20


def loader() -> RomLoader:
    """Synchronised, over an erased flash and some SRAM."""
    flash = Memory("flash", [FLASH], 1 << 20, fill=0xFF)
    made = RomLoader(flash, [flash, Memory("SRAM", [0x2000_0000], 128 << 10)])
    assert made.feed(b"\x7f") == bytes([ACK])
    return made


def command(code: int) -> bytes:
    return bytes([code, code ^ 0xFF])


def summed(content: bytes) -> bytes:
    """The content and the XOR of its bytes."""
    checksum = 0
    for byte in content:
        checksum ^= byte
    return content + bytes([checksum])


def address(value: int) -> bytes:
    return summed(value.to_bytes(4, "big"))


def write(made: RomLoader, at: int, content: bytes) -> bytes:
    body = summed(bytes([len(content) - 1]) + content)
    return made.feed(command(0x31)) + made.feed(address(at)) + made.feed(body)


def read(made: RomLoader, at: int, count: int) -> bytes:
    return made.feed(command(0x11) + address(at) + command(count - 1))


def test_it_says_what_it_is() -> None:
    made = loader()
    answer = made.feed(command(0x00))
    assert answer[:3] == bytes([ACK, 11, 0x31])
    assert answer[-1] == ACK
    assert made.feed(command(0x02)) == bytes([ACK, 1, 0x04, 0x13, ACK])


@given(st.binary(min_size=1, max_size=256), st.integers(0, (1 << 18) - 64))
def test_what_is_written_is_read(content: bytes, word: int) -> None:
    made = loader()
    assert write(made, FLASH + 4 * word, content) == bytes([ACK] * 3)
    assert read(made, FLASH + 4 * word, len(content)) == bytes([ACK] * 3) + content


def test_flash_bits_are_only_cleared_until_an_erase() -> None:
    made = loader()
    write(made, FLASH, b"\x0f\xff\xff\xff")
    write(made, FLASH, b"\xf5\x55\xff\xff")
    assert read(made, FLASH, 4)[3:] == b"\x05\x55\xff\xff"
    made.feed(command(0x44) + summed(b"\x00\x00\x00\x00"))  # sector 0 alone
    assert read(made, FLASH, 4)[3:] == b"\xff" * 4
    write(made, FLASH + sum(SECTORS[:2]), b"1234")
    assert made.feed(command(0x44) + summed(b"\x00\x00\x00\x00")) == bytes([ACK] * 2)
    assert read(made, FLASH + sum(SECTORS[:2]), 4)[3:] == b"1234"
    assert made.feed(command(0x44) + summed(b"\xff\xff")) == bytes([ACK] * 2)
    assert read(made, FLASH + sum(SECTORS[:2]), 4)[3:] == b"\xff" * 4


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x00",  # no complement
        command(0x55),  # no such command
        command(0x11) + b"\x08\x00\x00\x00\x00",  # wrong checksum of the address
        command(0x11) + address(0x9000_0000),  # no memory there
        command(0x21) + address(0x9000_0000),
        command(0x31) + address(FLASH) + b"\x03abcd\x00",  # wrong checksum of the data
        command(0x44) + summed(b"\x00\x00\x00\x0c"),  # sector 12 of 12
        command(0x44) + summed(b"\xff\xfe"),  # bank 1 of a chip with one bank
        command(0x82),  # read protection
        b"\x7f",  # synchronised already
    ],
)
def test_nonsense_is_refused_and_the_next_command_works(content: bytes) -> None:
    made = loader()
    assert made.feed(content)[-1] == NACK
    assert made.go is None
    assert made.feed(command(0x02))[-1] == ACK


def test_go_names_its_address() -> None:
    made = loader()
    assert made.feed(command(0x21) + address(FLASH)) == bytes([ACK, ACK])
    assert made.go == FLASH


def test_nothing_is_answered_before_the_rate_is_set() -> None:
    flash = Memory("flash", [FLASH], 1 << 20)
    assert RomLoader(flash, [flash]).feed(b"HELLO\n\x00\xff") == b""


# ---- UF2 ----


@given(st.binary(min_size=1, max_size=5000))
def test_a_uf2_gives_back_its_image(image: bytes) -> None:
    pages = parse_uf2(uf2(image), PICO_FLASH, PICO_BYTES)
    joined = b"".join(pages[offset] for offset in sorted(pages))
    assert joined[: len(image)] == image
    assert joined[len(image) :].strip(b"\0") == b""


def damaged(position: int, value: int) -> bytes:
    """Three good blocks with one word of the second changed."""
    content = bytearray(uf2(bytes(700)))
    struct.pack_into("<I", content, 512 + position, value)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "0 bytes"),
        (uf2(bytes(700))[:-1], "whole number"),
        (uf2(bytes(700))[:-512], "2 of 3 blocks"),
        (damaged(0, 1), "magic"),
        (damaged(4, 1), "magic"),
        (damaged(508, 1), "magic"),
        (damaged(8, 0), "family"),
        (damaged(28, 0xADA5_2840), "family"),
        (damaged(12, 0x0FFF_FF00), "outside the flash"),
        (damaged(12, 0x1020_0000), "outside the flash"),
        (damaged(12, 0x1000_0101), "not one flash page"),
        (damaged(16, 255), "not one flash page"),
        (damaged(20, 3), "does not fit"),
        (damaged(24, 4), "does not fit"),
        (uf2(b"x", family=0), "family"),
    ],
)
def test_a_bad_uf2_is_refused_with_its_reason(content: bytes, why: str) -> None:
    with pytest.raises(Uf2Error, match=why):
        parse_uf2(content, PICO_FLASH, PICO_BYTES)


@given(st.binary(max_size=2000))
def test_no_file_whatever_is_taken_by_mistake(content: bytes) -> None:
    with pytest.raises(Uf2Error):
        parse_uf2(content, PICO_FLASH, PICO_BYTES)


def test_the_drive_waits_for_the_whole_file(tmp_path: Path) -> None:
    drive = Uf2Drive(tmp_path / "RPI-RP2")
    target = tmp_path / "RPI-RP2" / "firmware.uf2"
    content = uf2(bytes(3000))
    target.write_bytes(content[:700])
    assert drive.complete_file() is None
    target.write_bytes(content)
    assert drive.complete_file() == (target, content)
    assert drive.complete_file() is None  # once only
    drive.eject()
    assert not (tmp_path / "RPI-RP2").exists()


def test_boot2_is_checked_by_crc32_mpeg2() -> None:
    assert boot2_checksum(b"123456789") == 0x0376_E6E7  # the algorithm's check value
    assert boot2_checksum(BOOT2) != boot2_checksum(BOOT2[:-1])
