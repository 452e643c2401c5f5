"""A model of floats on the link: four bytes a value, as docs/PROTOCOL.md says."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from host_program import KERNEL, LINK, compile_program
from link_program import BUILD_ID, MAIN, answers, request
from random_float_models import edge_features, random_features, random_pair

from miniml import reference_float
from miniml.adapters import float_modes
from miniml.float_net import FloatNet, make_float_net
from miniml.hil.link.codec import pack
from miniml.model import Float32Array

WIDTHS = (7, 25, 3)
HELLO = request(0, "HELLO 0BADCAFE")


@pytest.fixture(scope="module")
def net() -> FloatNet:
    return make_float_net(*random_pair(3, widths=WIDTHS), "avr_hybrid")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, net: FloatNet) -> Path:
    main = MAIN.replace("static int8_t input[", "static float input[")
    return compile_program(
        tmp_path_factory.mktemp("link"),
        main.replace("BUILD_ID_HERE", BUILD_ID),
        headers={"random_model.h": float_modes.generate(net, "nothing")},
        sources=[*KERNEL.glob("*.c"), LINK / "miniml_link.c", LINK / "miniml_link_text.c"],
    )


def ask(program: Path, *texts: str) -> list[str]:
    lines = [request(number, text) for number, text in enumerate(texts, start=1)]
    return [answer[3:] for answer in answers(program, [HELLO, *lines])[1:]]


def loads(row: Float32Array) -> list[str]:
    return [
        f"FLOAT {at:04X} {pack(row[at : at + 7].astype('<f4').tobytes())}"
        for at in range(0, len(row), 7)
    ]


def test_shape_tells_the_size_of_a_value_and_hello_the_model(program: Path, net: FloatNet) -> None:
    assert ask(program, "INFO SHAPE", "INFO LAYER 01") == ["OK 0007 0003 02 04", "OK 0019"]
    (hello,) = answers(program, [HELLO])
    assert hello.split()[4] == net.model_id[:16]


@pytest.mark.parametrize("row", range(0, 14, 3))
def test_run_and_read_give_the_reference_s_bits(program: Path, net: FloatNet, row: int) -> None:
    _, real = random_pair(3, widths=WIDTHS)
    features = np.concatenate([edge_features(real), random_features(real, 2, 1)])[row : row + 1]
    first, last = reference_float.run_layers(net, features)
    reads = [f"READ 01 {at:04X} {min(22, 100 - at):02X}" for at in range(0, 100, 22)]
    found = ask(program, *loads(features[0]), "RUN 01", *reads, "RUN 00", "READ 00 0000 16")
    assert found[1] == f"OK {first[0].tobytes()[:22].hex().upper()}"
    assert "".join(text[3:] for text in found[2:7]) == first[0].tobytes().hex().upper()
    assert found[7] == f"OK {last[0].tobytes().hex().upper()}"
    assert found[8] == f"OK {features[0].tobytes()[:22].hex().upper()}"


def test_put_counts_bytes_and_float_counts_features(program: Path) -> None:
    found = ask(
        program,
        f"PUT 0007 {pack(bytes.fromhex('3F80'))}",
        "READ 00 0004 08",
        f"PUT 001B {pack(bytes(1))}",
        f"PUT 001B {pack(bytes(2))}",
        f"FLOAT 0006 {pack(struct.pack('<f', 1))}",
        f"FLOAT 0006 {pack(struct.pack('<2f', 1, 1))}",
        f"FLOAT FFFF {pack(struct.pack('<f', 1))}",
        f"FLOAT 0000 {pack(bytes(5))}",
        "READ 00 0018 04",
        "READ 00 0019 04",
    )
    one = struct.pack("<f", 1.0).hex().upper()
    assert found[:2] == ["OK", "OK 0000003F80000000"]
    assert found[2:6] == ["OK", "ERR RANGE", "OK", "ERR RANGE"]
    assert found[6:] == ["ERR RANGE", "ERR ARGS", f"OK {one}", "ERR RANGE"]
