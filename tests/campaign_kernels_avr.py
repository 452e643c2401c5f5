"""Campaign: random nets through the AVR kernels: `python tests/campaign_kernels_avr.py [NETS]`.

Several nets make one program, which runs on the simulated ATmega328P; every layer's bytes, the
cycles of each number of layers, the worst case, flash, SRAM and stack are compared. With --folder,
campaign_kernels_avr.json there keeps the progress: it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from kernels_avr_nets import draw  # noqa: E402
from kernels_avr_program import Case, build, differences, run, sizes  # noqa: E402

from miniml.atomic_file import write_atomically  # noqa: E402
from miniml.cost.elf_symbols import symbols  # noqa: E402
from miniml.errors import BudgetError  # noqa: E402
from miniml.kernels import avr  # noqa: E402

FLASH, SRAM = 24_000, 1_500  # of the kernels in one program
NETS_A_PROGRAM = 12


def generator_digest() -> str:
    """SHA-256 of the generator: progress of another one doesn't count."""
    digest = hashlib.sha256()
    for file in sorted(Path(avr.__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def compare(cases: list[Case], folder: Path) -> list[str]:
    """What differs in one program."""
    program = build(cases, folder)
    runs = run(cases, program)
    placed = symbols(program)
    wrong = []
    for case, found in zip(cases, runs, strict=True):
        wrong += [f"{case.model.name}: {text}" for text in differences(case, found)]
        if sizes(placed, case.model.name) != (case.program.flash, case.program.sram):
            wrong.append(f"{case.model.name}: flash or SRAM differ from the linker's")
    if max(case.program.stack for case in cases) != runs[0].stack:
        wrong.append(f"{cases[0].model.name} and others: the stack is {runs[0].stack} bytes")
    return wrong


def main(arguments: list[str]) -> int:
    """Returns 1 at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", type=int, nargs="?", default=10_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args(arguments)
    state = {"generator": generator_digest(), "next": options.start, "compared": 0, "too_large": 0}
    kept = options.folder / "campaign_kernels_avr.json" if options.folder else None
    methods: Counter[str] = Counter()
    if kept is not None and kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["generator"] == state["generator"]:
            methods.update(before.pop("rows"))
            state = before
    number, end = int(state["next"]), options.start + options.nets
    while number < end:
        cases: list[Case] = []
        flash = sram = 0
        while number < end and len(cases) < NETS_A_PROGRAM:
            model, how, inputs = draw(number)
            try:
                case = Case(model, avr.plan(model, how), inputs)
            except BudgetError:
                case = None
            if case is None or case.program.flash > FLASH or case.program.sram > SRAM:
                state["too_large"] = int(state["too_large"]) + 1
                number += 1
                continue
            flash += case.program.flash + inputs.size
            sram += case.program.sram
            if cases and (flash > FLASH or sram > SRAM):
                break
            cases.append(case)
            number += 1
        if not cases:
            break
        with tempfile.TemporaryDirectory() as folder:
            wrong = compare(cases, Path(folder))
        if wrong:
            print("\n".join(wrong))
            return 1
        for case in cases:
            rows = [row for layer in case.program.layers for row in layer.rows]
            methods.update(f"{row.method}, {row.requantize}" for row in rows)
        state |= {"next": number, "compared": int(state["compared"]) + len(cases)}
        if kept is not None:
            content = json.dumps({**state, "rows": dict(sorted(methods.items()))}, indent=1)
            write_atomically(kept, content.encode())
    print(f"{state['compared']} nets, no difference; {state['too_large']} drawn were too large")
    for key, count in sorted(methods.items()):
        print(f"  {count} rows {key}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
