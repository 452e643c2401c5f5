"""XOR with the guide's settings, every seed, every core: `python tests/campaign_xor.py [SEEDS]`.

Seeds 0 to SEEDS - 1 (100 unless told) of examples 1 and 2: trained, quantized, run in the
references and on the simulated cores in their modes, CMSIS-NN with the library's own kernels. A
seed counts where all four rows are right and every float that a core returned has the bits of
the reference's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import xor_boards  # noqa: E402


def main(seeds: int = 100) -> int:
    """Returns 1 unless every seed is right everywhere."""
    whole = True
    for example in xor_boards.EXAMPLES:
        networks = [xor_boards.network(example, seed) for seed in range(seeds)]
        for core, mode in xor_boards.RUNS:
            wanted = np.array([xor_boards.answers(network, mode) for network in networks])
            whole &= _say(example, f"reference, {mode}", wanted, wanted)
            parts = []
            for first in range(0, seeds, xor_boards.MODELS_A_PROGRAM):
                some = networks[first : first + xor_boards.MODELS_A_PROGRAM]
                with tempfile.TemporaryDirectory() as folder:
                    parts.append(xor_boards.run_core(core, mode, some, Path(folder)))
            whole &= _say(example, f"{core}, {mode}", np.concatenate(parts), wanted)
    return int(not whole)


def _say(example: int, where: str, found: np.ndarray, wanted: np.ndarray) -> bool:
    right = ((found >= 0.5) == xor_boards.WANTED).all(axis=1)
    same = (found == wanted).all(axis=1)
    print(
        f"example {example}, {where}: {int((right & same).sum())} of {len(found)} seeds right, "
        f"least margin to one half {np.abs(found - 0.5).min():.3f}",
        flush=True,
    )
    return bool((right & same).all())


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
