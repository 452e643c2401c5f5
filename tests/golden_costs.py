"""What the standard models take: `python tests/golden_costs.py` records it.

tests/golden/costs.json is compared on every change (test_recorded_figures.py): better figures are
recorded anew, worse ones need a reason.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from miniml.boards import load_boards  # noqa: E402
from miniml.cost import foretell  # noqa: E402
from miniml.kernels.choice import kernels_for  # noqa: E402
from miniml.pipeline import prepare  # noqa: E402

FILE = Path(__file__).parent / "golden" / "costs.json"
MODELS = ("digits", "sine", "xor")
BOARDS = ("uno", "nanoatmega328", "stm32f4", "pico")
FIGURES = ("flash", "sram", "stack", "cycles", "cycles_max")


def costs() -> dict[str, dict[str, dict[str, Any]]]:
    """FIGURES by model and board, as `miniml cost` foretells them for the test rows."""
    boards = load_boards(ROOT)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in MODELS:
        prepared = prepare(ROOT / "firmware" / "models" / name, train="frozen")
        inputs = prepared.test_vectors().inputs
        found[name] = {}
        for board in BOARDS:
            kernels = kernels_for(prepared.model, boards[board], prepared.settings.code)
            cost = foretell(prepared.model, boards[board], None, inputs, kernels)
            found[name][board] = {figure: getattr(cost, figure) for figure in FIGURES}
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(costs(), indent=1) + "\n", encoding="utf-8")
