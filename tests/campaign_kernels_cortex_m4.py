"""Random nets through the Cortex-M4 kernels.

    python tests/campaign_kernels_cortex_m4.py [NETS] [SEED] [--state FILE]

Every layer's bytes, the cycles and the stack are compared on the simulated core, with all sorts of
options. A net's number is its seed; with a state file, a campaign goes on where it was ended.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from cortex_m4_nets import check, link, random_inputs, random_net  # noqa: E402

from miniml.atomic_file import write_atomically  # noqa: E402
from miniml.kernels.cortex_m4 import METHODS, plan  # noqa: E402
from miniml.kernels.program import KernelOptions, KernelProgram, Placement  # noqa: E402
from miniml.model import QuantizedModel  # noqa: E402
from miniml.sim.arm.machine import Machine  # noqa: E402

BATCH = 25
ROWS = 8
PLACEMENTS: tuple[Placement, ...] = ("flash", "flash", "constants", "code", "sram")


def case(seed: int) -> tuple[QuantizedModel, KernelProgram, np.random.Generator]:
    """A net of depth 1 to 6, and its kernels with one choice of options."""
    rng = np.random.default_rng(seed)
    largest = int(rng.choice([6, 20, 60, 140], p=[0.4, 0.3, 0.25, 0.05]))
    widths = rng.integers(1, largest + 1, int(rng.integers(2, 8))).tolist()
    model = random_net(rng, f"net_{seed}", widths)
    chosen = tuple(method for method in METHODS if rng.random() < 0.75)
    options = KernelOptions(
        optimize="flash" if rng.random() < 0.3 else "cycles",
        placement=PLACEMENTS[int(rng.integers(len(PLACEMENTS)))],
        methods=chosen if rng.random() < 0.4 else None,
    )
    program = plan(model, options)
    if rng.random() < 0.3:
        smallest = plan(model, KernelOptions(optimize="flash", methods=options.methods)).flash
        limit = int(rng.integers(min(smallest, program.flash), program.flash + 1))
        limited = KernelOptions(max(limit, smallest), "cycles", options.placement, options.methods)
        program = plan(model, limited)
    return model, program, rng


def run_batch(seeds: range) -> Counter[str]:
    """Nets and differing bytes, and rows by method and requantization."""
    cases = [case(seed) for seed in seeds]
    count: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        program = link([one for _, one, _ in cases], Path(folder))
        machine = Machine.bare("cortex-m4")
        try:
            machine.load_elf(program)
            for model, kernels, rng in cases:
                different = check(machine, model, kernels, random_inputs(rng, model, ROWS))
                if different:
                    print(f"{model.name}: {different} bytes differ", flush=True)
                count["different"] += different
                count["nets"] += 1
                count.update(
                    f"{row.method}, {row.requantize}" for one in kernels.layers for row in one.rows
                )
        finally:
            machine.close()
    return count


def main(nets: int, seed: int, state: Path | None) -> int:
    """Returns 1 if a byte differs."""
    total: Counter[str] = Counter()
    if state is not None and state.exists():
        total.update(json.loads(state.read_text(encoding="utf-8")))
    for first in range(seed + total["nets"], seed + nets, BATCH):
        total.update(run_batch(range(first, min(first + BATCH, seed + nets))))
        if state is not None:
            write_atomically(state, json.dumps(total).encode())
        if total["nets"] % 200 < BATCH:
            print(f"{dict(total)}", flush=True)
    print(f"seeds {seed} to {seed + nets - 1}: {dict(total)}")
    return int(total["different"] > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", type=int, nargs="?", default=10_000)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--state", type=Path)
    arguments = parser.parse_args()
    sys.exit(main(arguments.nets, arguments.seed, arguments.state))
