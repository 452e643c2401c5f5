"""The rows of `miniml bench guide` as a table, the guide's promises beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from miniml.bench.guide_rows import GuideRow

# "Typical Performance Metrics" of docs/QUANTIZATION_GUIDE.md, word for word.
PROMISED = {
    "Original Float32": ("100%", "1x", "0%", "High", "Low"),
    "Per-Layer (int8)": ("~25%", "2-3x", "0.5-2%", "Medium", "Medium"),
    "CMSIS-NN": ("~25%", "5-10x", "0.5-2%", "Medium", "Medium"),
    "AVR Hybrid": ("~25% (weights)", "1.5-2x", "0.5-2%", "Low", "High"),
}
_LAYOUT = "  {:<19} {:<11} {:<10} {:>7} {:>6} {:>10} {:>7} {:>9} {:>6} {:>8} {:>8}  {}"
_HEAD = (
    *("mode", "scales", "kernels", "size", "of f32", "cycles", "speed", "accuracy", "loss"),
    *("RAM", "flash", "the guide's promise: what of it is not met"),
)


def table(rows: Sequence[GuideRow]) -> str:
    """A block for each model and board; ends with how to read it."""
    lines: list[str] = []
    for model, board in dict.fromkeys((row.model, row.board) for row in rows):
        lines.append(f"{model} on {board} (simulated core, 0 wait states)")
        lines.append(_LAYOUT.format(*_HEAD))
        lines += _block([row for row in rows if (row.model, row.board) == (model, board)])
        lines.append("")
    return "\n".join(
        [
            *lines,
            "Promised: size, speed, accuracy loss, RAM, flash. RAM is static SRAM and stack, flash",
            "is code and constants with the compiler's float routines. Held against float32: size",
            "nearer to a quarter than to a third, speed at least the lower end, loss at most 2",
            "points (regression: RMSE in percent of the target's deviation), RAM, flash no more.",
        ]
    )


def _block(rows: Sequence[GuideRow]) -> Iterator[str]:
    for row in rows:
        start = (row.mode, row.quantization or "-", row.kernels)
        if row.cycles is None:
            yield "  {:<19} {:<11} {:<10} ".format(*start) + row.note
            continue
        accuracy = "-" if row.accuracy is None else f"{row.accuracy:.2f} %"
        loss = "-" if row.loss is None else f"{row.loss:.2f}"
        yield _LAYOUT.format(
            *start,
            f"{row.size:,}",
            f"{row.size_percent:.0f} %",
            f"{row.cycles:,}",
            f"{row.speed:.2f}x",
            accuracy,
            loss,
            f"{row.ram:,}",
            f"{row.flash:,}",
            _promise(row),
        )


def _promise(row: GuideRow) -> str:
    differing = "" if row.exact else "WRONG BYTES; "
    if not row.column:
        return f"{differing}none"
    promised = ", ".join(PROMISED[row.column])
    missed = [name for name, verdict in row.promises.items() if verdict != "met"]
    verdict = f"not met: {', '.join(missed)}" if missed else "met"
    return f"{differing}{promised}: {verdict if row.promises else 'the baseline'}"
