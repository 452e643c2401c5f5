"""The foretold figures of a build in a bundle: cost.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, cast, get_args

import numpy as np

from miniml.cost import Cost
from miniml.cost.foretelling import LayerCost
from miniml.kernels.program import Placement


def dump_cost(cost: Cost) -> bytes:
    """The file's bytes."""
    by_row = None if cost.cycles_by_row is None else cost.cycles_by_row.tolist()
    layers = [asdict(layer) for layer in cost.layers]
    content = {**vars(cost), "cycles_by_row": by_row, "layers": layers}
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def load_cost(text: bytes) -> Cost:
    """Reads it back.

    Raises:
        ValueError: it is none.
    """
    content = json.loads(text)
    try:
        by_row = content["cycles_by_row"]
        return Cost(
            flash=int(content["flash"]),
            sram=int(content["sram"]),
            stack=_maybe(content, "stack"),
            cycles=_maybe(content, "cycles"),
            cycles_min=_maybe(content, "cycles_min"),
            cycles_max=_maybe(content, "cycles_max"),
            cycles_by_row=None if by_row is None else np.array(by_row, np.int64).reshape(-1),
            layers=tuple(
                LayerCost(
                    name=str(layer["name"]),
                    macs=int(layer["macs"]),
                    flash=int(layer["flash"]),
                    cycles=_maybe(layer, "cycles"),
                )
                for layer in content["layers"]
            ),
            memory=_text(content, "memory"),
            toolchain=_text(content, "toolchain"),
            exact=bool(content["exact"]),
            placement=_placement(content),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"cost.json is damaged ({error})") from error


def of_rows(cost: Cost, samples: int | None) -> Cost:
    """The cost where only the first rows run, as `foretell` says it of these."""
    if samples is None or cost.cycles_by_row is None or not len(cost.cycles_by_row):
        return cost
    by_row = cost.cycles_by_row[:samples]
    return replace(cost, cycles_by_row=by_row, cycles=round(float(np.median(by_row))))


def _placement(content: Mapping[str, Any]) -> Placement:
    value = content["placement"]
    if value not in get_args(Placement):
        raise ValueError("cost.json is damaged (placement)")
    return cast(Placement, value)


def _maybe(content: Mapping[str, Any], key: str) -> int | None:
    return None if content[key] is None else int(content[key])


def _text(content: Mapping[str, Any], key: str) -> str | None:
    return None if content[key] is None else str(content[key])
