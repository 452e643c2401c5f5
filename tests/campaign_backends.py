"""Every backend against the reference: `python tests/campaign_backends.py [--seed N]`.

Random nets (tests/backend_nets.py) run by each backend on this machine and on the simulated cores;
all outputs are compared, and of some rows every layer's. It goes on until each backend has given as
many outputs as its goal says, and may be stopped at any time: what was done is in the state file.
A change of a generator, kernel, the reference or the nets begins anew. Ends with 1 at the first
difference, which the state keeps.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from backend_nets import Hardness  # noqa: E402
from backend_programs import (  # noqa: E402
    ARM_BACKENDS,
    HOST_BACKENDS,
    Backend,
    differing,
    expected,
    make_net,
    run,
)

from miniml.atomic_file import write_atomically  # noqa: E402

STATE = ROOT / ".pio" / "miniml" / "campaign_backends.json"
WATCHED = (
    "miniml/adapters/c_text.py",
    "miniml/adapters/float_modes.py",
    "miniml/adapters/int8.py",
    "miniml/adapters/native.py",
    "miniml/adapters/cmsis_nn/*.py",
    "miniml/templates/cmsis_nn_*.j2",
    "miniml/templates/model_*.j2",
    "miniml/fixed_point.py",
    "miniml/float_net.py",
    "miniml/reference*.py",
    "firmware/lib/MiniML/src/*",
    "tests/backend_*.py",
    "tests/random_*models.py",
)
GOAL = 10_000_000
# A simulated core gives some 20,000 outputs a second, and far fewer where it emulates floats.
SMALL_GOAL = 1_000_000
FLOAT_GOAL = 10_000
LARGE = {"cmsis_nn, CMSIS-NN on cortex-m4", *(backend.name for backend in HOST_BACKENDS)}
GOALS = {
    backend.name: GOAL if backend.name in LARGE else FLOAT_GOAL if backend.mode else SMALL_GOAL
    for backend in (*HOST_BACKENDS, *ARM_BACKENDS)
}


def batch(backend: Backend, seed: int, number: int) -> tuple[dict[str, int], str]:
    """Counts of one batch, and the first net that differs or nothing.

    Backends of the host share their nets, and so do the cores.
    """
    on_host = backend.core == "host"
    count, rows, most = (24, 300, 20_000) if not backend.mode else (6, 40, 3_000)
    if on_host:
        count, rows, most = 40, 512, 10**9
    nets = [
        make_net(backend, (seed, int(on_host), number, index), f"m{index}", rows, most)
        for index in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        found = run(backend, nets, Path(folder))
    hardness = Hardness()
    difference, bytes_differing = "", 0
    for index, (one, content) in enumerate(zip(nets, found, strict=True)):
        hardness.count(one, 32)
        differs = differing(backend, content, expected(one))
        bytes_differing += differs
        if differs and not difference:
            difference = f"seed {seed}, batch {number}, net {index}: {one.model.widths}"
    counts = {
        "nets": len(nets),
        "outputs": sum(one.outputs[-1].size for one in nets),
        "bytes": sum(map(len, found)),
        "differing": bytes_differing,
        **{f"looked_at_{name}": value for name, value in dataclasses.asdict(hardness).items()},
    }
    return counts, difference


def digest() -> str:
    """SHA-256 over everything whose change makes earlier batches worthless."""
    total = hashlib.sha256()
    for pattern in WATCHED:
        for file in sorted(ROOT.glob(pattern)):
            if file.is_file():
                total.update(file.relative_to(ROOT).as_posix().encode() + file.read_bytes())
    return total.hexdigest()


def load(path: Path, seed: int) -> dict[str, Any]:
    """What earlier runs did with these sources, or nothing done."""
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        state = {}
    if state.get("sources") != digest() or state.get("seed") != seed:
        return {"sources": digest(), "seed": seed, "backends": {}}
    return state


def main() -> int:
    """Returns 1 at a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path, default=STATE)
    parser.add_argument("--backend", default="", help="only those with this in their name")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the goals")
    arguments = parser.parse_args()
    arguments.state.parent.mkdir(parents=True, exist_ok=True)
    state = load(arguments.state, arguments.seed)
    for backend in (*HOST_BACKENDS, *ARM_BACKENDS):
        if arguments.backend not in backend.name:
            continue
        done = state["backends"].setdefault(backend.name, {"batches": 0, "outputs": 0})
        while done["outputs"] < GOALS[backend.name] * arguments.scale:
            counts, difference = batch(backend, arguments.seed, done["batches"])
            for name, value in counts.items():
                done[name] = done.get(name, 0) + value
            done["batches"] += 1
            if difference:
                done["first_difference"] = difference
            write_atomically(arguments.state, json.dumps(state, indent=1).encode())
            if difference:
                print(f"{backend.name}: {difference}: {done['differing']} bytes differ")
                return 1
        print(
            f"{backend.name}: {done['outputs']:,} outputs of {done['nets']:,} nets, "
            f"{done['bytes']:,} bytes compared, {done['differing']} differ",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
