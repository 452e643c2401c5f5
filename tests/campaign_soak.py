"""A million inferences on each simulated board.

    python tests/campaign_soak.py STATE [N] [BOARD ...]

What is compared is said in soak_bench.py. STATE is a folder: builds, boards, and soak.json, which
holds each board's tally, so that an ended campaign goes on where it was. Every board is started and
flashed anew after BOARD_REQUESTS requests. Exit code 1 if anything was wrong.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from soak_bench import ROOT, ROWS, Tally, build_soak, soaking  # noqa: E402

from miniml.atomic_file import write_atomically  # noqa: E402
from miniml.hil.firmware_build import load_build  # noqa: E402
from pio_extra.offline import kit  # noqa: E402

BOARDS = ("uno", "nanoatmega328", "stm32f4", "pico")
ROUNDS = 512
BOARD_REQUESTS = 250
SAVE_EVERY = 2


def main(folder: Path, inferences: int = 1_000_000, boards: tuple[str, ...] = BOARDS) -> int:
    """Goes on until every board has its inferences."""
    folder = folder.absolute()
    kit.prepare(folder / "core")
    os.environ["PLATFORMIO_CORE_DIR"] = str(folder / "core")
    os.environ["PLATFORMIO_WORKSPACE_DIR"] = str(folder)
    build_soak(folder, boards, dict(os.environ))
    file, builds = folder / "soak.json", {n: load_build(ROOT, n).build_id for n in boards}
    state = json.loads(file.read_text()) if file.is_file() else {}
    if state.get("builds") != builds:
        state = {"builds": builds, "seconds": dict.fromkeys(boards, 0.0), "tallies": {}}
    tallies = {name: Tally(**state["tallies"].get(name, {})) for name in boards}
    for name, tally in tallies.items():
        while tally.inferences < inferences and not tally.faults:
            with soaking(name, folder) as soak:
                for _ in range(BOARD_REQUESTS):
                    if tally.inferences >= inferences or tally.faults:
                        break
                    begin = time.monotonic()
                    soak.request(tally.requests, ROUNDS, tally)
                    state["seconds"][name] += time.monotonic() - begin
                    if tally.requests % SAVE_EVERY == 0:
                        _save(file, state, tallies)
            _save(file, state, tallies)
            print(f"{name}: {tally.inferences:,} inferences", flush=True)
    return _say(tallies, state["seconds"])


def _save(file: Path, state: dict[str, object], tallies: dict[str, Tally]) -> None:
    state["tallies"] = {name: asdict(tally) for name, tally in tallies.items()}
    write_atomically(file, (json.dumps(state, indent=1) + "\n").encode())


def _say(tallies: dict[str, Tally], seconds: dict[str, float]) -> int:
    for name, tally in tallies.items():
        print(
            f"{name}: {tally.inferences:,} inferences in {tally.requests:,} requests of {ROWS} "
            f"rows, {tally.batched:,} more in batches, {tally.wraps:,} wraps of the counters, "
            f"{tally.not_counted} counts beyond their reach; {tally.lowest:,} to "
            f"{tally.highest:,} cycles, {tally.worst_error:.2%} from the foretold at most; "
            f"{len(tally.faults)} faults; {seconds[name]:.0f} s"
        )
        for fault in tally.faults:
            print(f"  {fault}")
    return int(any(tally.faults for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int((*sys.argv, "1000000")[2]), tuple(sys.argv[3:]) or BOARDS))
