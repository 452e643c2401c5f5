"""Fuzz the readers of files: `python tests/campaign_fuzz_files.py [MINUTES] [TARGET ...]`.

Coverage-guided (atheris, on libFuzzer) with the mutations of fuzz_targets.py; MINUTES for each
target, 8 unless told. It goes on where it stopped: corpus and totals lie in build/fuzz. What
breaks a reader is kept there as crash-*, and belongs into tests/fuzz_cases.
"""

from __future__ import annotations

import importlib.util
import json
import random
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
FOLDER = ROOT / "build" / "fuzz"
NAMES = ("network", "lock", "settings", "csv")
MINUTES = 8.0
WORKER = "--worker"


def main(minutes: float, targets: tuple[str, ...]) -> int:
    """Returns 1 if a reader broke, or if there is no fuzzer for this machine."""
    if importlib.util.find_spec("atheris") is None:
        print("not fuzzed: atheris is missing; it has packages for Linux on x86-64 only")
        return 1
    broken = 0
    for target in targets:
        totals, code = _fuzz(target, minutes)
        print(
            f"{target}: {totals['executions']:,} files in {totals['seconds'] / 60:.0f} minutes "
            f"in all, corpus {len(list(_corpus(target).iterdir()))}"
            + (f", BROKEN: see {_corpus(target).parent}" if code else ""),
            flush=True,
        )
        broken |= code != 0
    return int(broken)


def _fuzz(target: str, minutes: float) -> tuple[dict[str, float], int]:
    corpus = _corpus(target)
    corpus.mkdir(parents=True, exist_ok=True)
    since = time.monotonic()
    options = [f"-max_total_time={60 * minutes:.0f}", "-print_final_stats=1", "-max_len=20000"]
    options += ["-timeout=60", "-rss_limit_mb=2048", f"-artifact_prefix={corpus.parent}/"]
    command = [sys.executable, __file__, WORKER, target, *options, str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    (corpus.parent / "log.txt").write_text(done.stderr, encoding="utf-8")
    units = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    file = corpus.parent / "totals.json"
    totals: dict[str, float] = {"executions": 0, "seconds": 0}
    if file.exists():
        totals = json.loads(file.read_text(encoding="utf-8"))
    totals["executions"] += int(units[1]) if units else 0
    totals["seconds"] += time.monotonic() - since
    file.write_text(json.dumps(totals), encoding="utf-8")
    return totals, done.returncode


def _corpus(target: str) -> Path:
    return FOLDER / target / "corpus"


def _work(target: str, options: list[str]) -> None:
    """The process that libFuzzer takes over."""
    import atheris

    with atheris.instrument_imports(include=["miniml"]):
        import fuzz_targets

    warnings.simplefilter("error")
    for number, seed in enumerate(fuzz_targets.seeds(target)):
        (Path(options[-1]) / f"seed-{number}").write_bytes(seed)

    def test_one(content: bytes) -> None:
        fuzz_targets.read(target, content)

    def mutate(content: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.2:
            changed: bytes = atheris.Mutate(content, max_size)
            return changed
        return fuzz_targets.MUTATIONS[target](content, rng)[:max_size]

    atheris.Setup([sys.argv[0], *options], test_one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        _work(sys.argv[2], sys.argv[3:])
    chosen = [argument for argument in sys.argv[1:] if argument in NAMES]
    numbers = [argument for argument in sys.argv[1:] if argument not in NAMES]
    sys.exit(main(float(numbers[0]) if numbers else MINUTES, tuple(chosen) or NAMES))
