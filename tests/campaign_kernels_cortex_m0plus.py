"""Many random nets through the generated Cortex-M0+ kernels on the simulated core.

    python tests/campaign_kernels_cortex_m0plus.py [MODELS] [FIRST] [--state FILE]

Every layer's bytes, the cycles of every input and the stack are compared; many nets share
one ELF. With a state file, a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from kernel_models import campaign_model  # noqa: E402
from kernels_cortex_m0plus import Case, case, differences  # noqa: E402

from miniml.atomic_file import write_atomically  # noqa: E402
from miniml.kernels.program import KernelOptions  # noqa: E402

BATCH = 50
# Every fourth net by methods of its own, or in SRAM: each is the fastest in some place.
OPTIONS = (
    KernelOptions(),
    KernelOptions(methods=("SWAR",)),
    KernelOptions(methods=()),
    KernelOptions(methods=("packed sums",), placement="sram"),
)


def batch(first: int, count: int) -> list[Case]:
    """Nets `first`, `first` + 1, ... with inputs and programs."""
    return [
        case(*campaign_model(number), OPTIONS[number // 4 % len(OPTIONS)])
        for number in range(first, first + count)
    ]


def main(models: int, first: int, state: Path | None) -> int:
    """Returns 1 at the first batch with a difference."""
    done = 0
    if state is not None and state.exists():
        saved = json.loads(state.read_text(encoding="utf-8"))
        if saved["first"] == first:
            done = saved["done"]
    while done < models:
        count = min(BATCH, models - done)
        with tempfile.TemporaryDirectory() as folder:
            found = differences(batch(first + done, count), Path(folder))
        if found:
            print(*found[:20], sep="\n")
            return 1
        done += count
        if state is not None:
            write_atomically(state, json.dumps({"first": first, "done": done}).encode())
        if done % (10 * BATCH) == 0 or done == models:
            print(f"{done} of {models} nets, no difference", flush=True)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=int, nargs="?", default=10_000)
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("--state", type=Path)
    arguments = parser.parse_args()
    sys.exit(main(arguments.models, arguments.first, arguments.state))
