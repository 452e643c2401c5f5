"""The rows of `miniml bench kernels` as a table, others' recorded figures below."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from miniml.bench.kernel_rows import KernelRow

RECORDED = Path(__file__).with_name("recorded.json")
_HEAD = ("kernel", "cycles", "a MAC", "worst", "flash", "SRAM", "stack", "exact", "foretold")


def table(rows: Sequence[KernelRow]) -> str:
    """A block for each net and board, fastest first."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    lines: list[str] = []
    for net, board in dict.fromkeys((row.net, row.board) for row in rows):
        block = [row for row in rows if (row.net, row.board) == (net, board)]
        first = block[0]
        lines += [f"{net} on {board}, {first.macs:,} MACs, {first.compiler}"]
        lines += _block(sorted(block, key=lambda row: row.cycles_per_mac or float("inf")))
        for other in recorded["rows"]:
            if other["board"] == board and net in other["cycles_per_mac"]:
                figure = f"{other['cycles_per_mac'][net]:>8.2f}"
                lines.append(f"  {other['kernel']:<38} {'':>9} {figure} recorded")
        lines.append("")
    return "\n".join([*lines, f"recorded: {recorded['source']}"])


def _block(rows: Sequence[KernelRow]) -> Iterator[str]:
    yield "  {:<38} {:>9} {:>8} {:>8} {:>8} {:>7} {:>6} {:>6} {:>9}".format(*_HEAD)
    for row in rows:
        if row.cycles is None:
            yield f"  {row.kernel:<38} {row.note}"
            continue
        told = "" if row.foretold is None else f"{row.foretold:.2%}"
        kernel = row.kernel if row.memory == "ideal" else f"{row.kernel}, as shipped"
        yield (
            f"  {kernel:<38} {row.cycles:>9,} {row.cycles_per_mac:>8.2f} "
            f"{row.worst_cycles_per_mac:>8.2f} {row.flash:>8,} {row.sram:>7,} {row.stack:>6,} "
            f"{'yes' if row.exact else 'no':>6} {told:>9}"
        )
