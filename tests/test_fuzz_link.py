"""A sample of the link's fuzzing, and everything it ever found (tests/campaign_fuzz_link.py)."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from fuzz_link import CASES, FINISH, device_program, device_seeds, host_reads, host_seeds
from host_program import LINK, SANITIZERS

SAMPLE = 300


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """A seed, or two of them spliced, with some bytes changed, dropped or doubled."""
    content = bytearray(rng.choice(seeds) + rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(content))
        new = [b"", bytes([rng.randrange(256)]), content[place : place + 1] * 2, FINISH]
        content[place : place + 1] = rng.choice(new)
    return bytes(content)


def test_the_device_answers_by_the_protocol_or_not_at_all(tmp_path: Path) -> None:
    command = ["gcc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", *SANITIZERS]
    program = device_program(tmp_path, command, driver=True)
    rng = random.Random(5)
    files = sorted((CASES / "device").glob("*"))
    for number in range(SAMPLE):
        files.append(tmp_path / f"{number}")
        files[-1].write_bytes(mutated(device_seeds(), rng))
    done = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_host_ends_in_a_named_error_whatever_a_device_says() -> None:
    rng = random.Random(6)
    for case in sorted((CASES / "host").glob("*")):
        host_reads(case.read_bytes())
    endings = [host_reads(seed) for seed in host_seeds()]
    assert endings[0] == "complete"
    endings += [host_reads(mutated(host_seeds(), rng)) for _ in range(SAMPLE)]
    assert set(endings) >= {"complete", "LinkError", "SilentBoardError"}


def test_the_device_s_memory_is_fixed(tmp_path: Path) -> None:
    # No array of a length that a line could decide, no heap: nothing but these is called.
    allowed = {"memcpy", "memset", "strlen", "memcmp", "__stack_chk_fail"}
    for source in ("miniml_link.c", "miniml_link_text.c"):
        command = ["gcc", "-c", "-Os", "-Wvla", "-Walloca", "-Werror", "-o", "object.o"]
        command += [f"-I{LINK}", f"-I{LINK.parents[1] / 'MiniML' / 'src'}", str(LINK / source)]
        subprocess.run(command, check=True, cwd=tmp_path)
        done = subprocess.run(
            ["nm", "-u", "object.o"], check=True, cwd=tmp_path, capture_output=True, text=True
        )
        called = {line.split()[-1] for line in done.stdout.splitlines()}
        assert {name for name in called if not name.startswith("miniml_")} <= allowed
