"""Many random models through the C kernel: `python tests/campaign_kernel.py [MODELS] [SEED]`.

Each is run with the sanitizers on this machine, with both multiplications, and, every tenth, on
the three simulated cores; every layer's bytes are compared with the reference.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from host_program import SANITIZERS, compile_program, run_program  # noqa: E402
from random_models import random_model  # noqa: E402

from miniml import reference  # noqa: E402
from miniml.adapters import int8  # noqa: E402
from miniml.cost.benchmark import TARGETS, measure  # noqa: E402

ROWS = 300
MAIN = r"""
#include "random_model.h"
#include <stdio.h>
int main(void) {
  int8_t in[RANDOM_N_INPUTS];
  while (fread(in, sizeof in, 1, stdin) == 1) {
    for (uint8_t n = 1; n <= RANDOM_N_LAYERS; n++) {
      fwrite(random_run_layers(in, n), 1, random_widths[n - 1], stdout);
    }
  }
  return 0;
}
"""


def main(models: int = 300, seed: int = 0) -> int:
    """Returns 1 at the first difference."""
    for number in range(seed, seed + models):
        rng = np.random.default_rng(number)
        widths = rng.integers(1, 90, rng.integers(2, 7)).tolist() if number % 2 else None
        model = dataclasses.replace(random_model(rng, widths=widths), name="random")
        inputs = rng.integers(-128, 128, (ROWS, model.n_inputs)).astype(np.int8)
        layers = reference.run_layers(model, inputs)
        expected = b"".join(layer[row].tobytes() for row in range(ROWS) for layer in layers)
        with tempfile.TemporaryDirectory() as folder:
            for half_products in (0, 1):
                program = compile_program(
                    Path(folder),
                    MAIN,
                    headers={"random_model.h": int8.generate(model, "nothing")},
                    flags=("-O1", f"-DMINIML_HALF_PRODUCTS={half_products}", *SANITIZERS),
                )
                if run_program(program, inputs.tobytes()) != expected:
                    print(f"model {number}: the host differs (half products {half_products})")
                    return 1
            for core in TARGETS if number % 10 == 0 and model.macs < 10_000 else ():
                found = measure(TARGETS[core], model, inputs[:20], Path(folder))
                if not np.array_equal(found.outputs, layers[-1][:20]):
                    print(f"model {number}: {core} differs")
                    return 1
        if number % 25 == 24:
            print(f"{number + 1 - seed} of {models} models, no difference", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
