"""What running a benchmark program gives, and the header that tells it what to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
ROWS_HEADER = "rows.h"
# The program without a model calls this instead.
_EMPTY = {"avr": "empty", "cortex-m4": "benchmark_empty", "cortex-m0plus": "benchmark_empty"}


@dataclass(frozen=True, eq=False)
class Run:
    """One program on one core.

    Attributes:
        cycles: int64, (n, layers): of the first 1, 2, ... layers, as TIME counts.
        outputs: of each layer, (n, width), int8 or float32.
        stack: most bytes of stack below the call.
    """

    cycles: NDArray[np.int64]
    outputs: list[Values]
    stack: int


def rows_header(core: str, name: str, widths: Sequence[int], inputs: Values) -> str:
    """Text of rows.h: inputs, and what the program calls. Widths are the outputs of each layer."""
    data = np.ascontiguousarray(inputs).view(np.uint8).reshape(len(inputs), -1)
    rows = ",\n".join("{" + ",".join(map(str, row)) + "}" for row in data.tolist())
    value = "int8_t" if inputs.dtype == np.int8 else "float"
    flash = "MINIML_FLASH MINIML_UNUSED"
    return (
        f"#define ROWS {len(data)}\n#define VALUE {value}\n"
        f"#define MODEL_CONSTANT(symbol) {name.upper()}_##symbol\n"
        f"#ifdef WITHOUT_MODEL\n#define RUN {_EMPTY[core]}\n"
        f"#else\n#define RUN {name}_run_layers\n#endif\n"
        f"static const uint16_t widths[] {flash} = {{{','.join(map(str, widths))}}};\n"
        f"static const uint8_t rows[][{data.shape[1]}] {flash} = {{\n{rows}}};\n"
    )
