"""Fuzz both ends of the link: `python tests/campaign_fuzz_link.py [MINUTES] [device] [host]`.

Coverage-guided by libFuzzer: the firmware's C with clang's address and undefined-behaviour
sanitizers (Debian: clang-14, libclang-rt-14-dev), and the host's session by atheris; MINUTES for
each, 30 unless told. It goes on where it stopped: corpus and totals lie in build/fuzz. What breaks
is kept there as crash-*, and belongs into tests/link_cases.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
FOLDER = ROOT / "build" / "fuzz"
NAMES = ("device", "host")
MINUTES = 30.0
WORKER = "--worker"
SANITIZERS = "-fsanitize=fuzzer,address,undefined"


def main(minutes: float, targets: tuple[str, ...]) -> int:
    """Returns 1 if something broke."""
    os.nice(19)
    broken = 0
    for target in targets:
        folder = FOLDER / f"link_{target}"
        totals, code = _fuzz(target, folder, minutes)
        print(
            f"{target}: {totals['executions']:,} inputs in {totals['seconds'] / 60:.0f} minutes "
            f"in all, corpus {len(list((folder / 'corpus').iterdir()))}"
            + (f", BROKEN: see {folder}" if code else ""),
            flush=True,
        )
        broken |= code != 0
    return int(broken)


def _fuzz(target: str, folder: Path, minutes: float) -> tuple[dict[str, float], int]:
    import fuzz_link

    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = fuzz_link.device_seeds() if target == "device" else fuzz_link.host_seeds()
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, __file__, WORKER]
    if target == "device":
        clang = shutil.which("clang") or shutil.which("clang-14")
        if clang is None:
            sys.exit("not fuzzed: clang is missing (Debian: clang-14 libclang-rt-14-dev)")
        flags = ["-std=c11", "-g", "-O1", SANITIZERS, "-fno-sanitize-recover=all"]
        command = [str(fuzz_link.device_program(folder, [clang, *flags], driver=False))]
    since = time.monotonic()
    options = [f"-max_total_time={60 * minutes:.0f}", "-print_final_stats=1", "-max_len=4096"]
    options += ["-timeout=60", "-rss_limit_mb=2048", f"-artifact_prefix={folder}/"]
    done = subprocess.run(
        [*command, *options, str(corpus)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    (folder / "log.txt").write_text(done.stderr, encoding="utf-8")
    units = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    file = folder / "totals.json"
    totals: dict[str, float] = {"executions": 0, "seconds": 0}
    if file.exists():
        totals = json.loads(file.read_text(encoding="utf-8"))
    totals["executions"] += int(units[1]) if units else 0
    totals["seconds"] += time.monotonic() - since
    file.write_text(json.dumps(totals), encoding="utf-8")
    return totals, done.returncode


def _work(options: list[str]) -> None:
    """The process that libFuzzer takes over."""
    import atheris

    with atheris.instrument_imports(include=["miniml.hil"]):
        import fuzz_link

    atheris.Setup([sys.argv[0], *options], fuzz_link.host_reads)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        _work(sys.argv[2:])
    chosen = tuple(argument for argument in sys.argv[1:] if argument in NAMES)
    numbers = [argument for argument in sys.argv[1:] if argument not in NAMES]
    sys.exit(main(float(numbers[0]) if numbers else MINUTES, chosen or NAMES))
