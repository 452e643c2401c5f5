"""The search for the fastest choice that fits: downwards from the fastest of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from miniml.kernels.avr import block, exact, loop, straight, winograd
from miniml.kernels.avr.build import LayerChoice
from miniml.kernels.avr.estimate import Cost, LayerEstimate, sharing

_SHARE = (0, 12, 8, 6, 5, 4, 3, 2)  # uses from which a pattern is shared, by falling flash
_FRAME = 120  # bytes of the function around the layers, and 16 after each layer but the last
_AFTER_LAYER = 16
_MOST_ROWS = {
    "winograd": winograd.MOST_ROWS,
    "straight": straight.MOST_ROWS,
    "block": block.MOST_ROWS,
}


@dataclass(frozen=True)
class LayerState:
    """Rows of the fastest method and of the one between; `takes_in`, `short` of LayerChoice.

    `tall`: the one between is "tall".
    """

    fast: int
    middle: int
    takes_in: bool
    short: bool = False
    tall: bool = False


@dataclass(frozen=True)
class State:
    """All layers, and from how many uses on a pattern of `winograd` is shared."""

    layers: tuple[LayerState, ...]
    share: int


class LayerOptions:
    """Methods of one layer's rows."""

    def __init__(self, estimate: LayerEstimate, methods: frozenset[str]) -> None:
        """The methods that the layer's inputs and sums allow."""
        self.estimate = estimate
        rows = estimate.rows
        tiled = "winograd" in methods and any(winograd.serves(rows, row) for row in rows.rows)
        self.fast = "winograd" if tiled else "straight" if "straight" in methods else None
        between = [] if tiled else [name for name in ("block", "tall") if name in methods]
        self.middle = between[0] if between else None
        self.tall = "tall" in between and self.middle != "tall"
        served = [row.index for row in rows.rows if straight.serves(row)]
        self.rows = served if self.fast or self.middle else []
        self.others = [row.index for row in rows.rows if row.index not in self.rows]

    def choice(self, state: LayerState, *, exact_only: bool = False) -> LayerChoice:
        """Groups of a state: rows in their order, those of the loop last."""
        groups: list[tuple[str, tuple[int, ...]]] = []
        end = state.fast + state.middle
        for method, part in (
            (self.fast, self.rows[: state.fast]),
            ("tall" if state.tall else self.middle, self.rows[state.fast : end]),
        ):
            if method is not None:
                most = _MOST_ROWS.get(method, max(1, len(self.rows)))
                parts = _split(part, most, even=len(part) == len(self.rows))
                groups += [(method, some) for some in parts]
        rows = self.estimate.rows
        left = sorted([*self.rows[end:], *self.others])
        for wide in (False, True):
            some = [index for index in left if loop.is_wide(rows.rows[index]) == wide]
            most = loop.most_rows(rows.layer.n_inputs, wide)
            groups += [("loop", part) for part in _split(some, most, even=True)]
        takes_in = state.takes_in and not any(method == "loop" for method, _ in groups)
        if any(method == "tall" for method, _ in groups):
            # It takes in a model's inputs, but none that others need too.
            takes_in = takes_in and len(groups) == 1 and rows.number == 1
        return LayerChoice(tuple(groups), not exact_only, takes_in=takes_in, short=state.short)

    def fastest(self) -> LayerState:
        """Every row that can by the fastest method."""
        fast = len(self.rows) if self.fast else 0
        middle = 0 if self.fast else len(self.rows)
        takes_in = bool(self.rows) and not self.others
        return LayerState(fast, middle, takes_in)

    def slower(self, state: LayerState) -> Iterator[LayerState]:
        """States that take less flash, most likely."""
        if state.takes_in:
            yield replace(state, takes_in=False)
        if not state.short:
            yield replace(state, short=True)
        if self.tall and not state.tall:
            yield replace(state, tall=True)
            if state.fast:
                yield LayerState(0, len(self.rows), takes_in=True, short=True, tall=True)
            yield replace(state, tall=True, takes_in=True)
        total = len(self.rows)
        most = _MOST_ROWS.get(self.fast or "", 1)
        whole = -(-state.fast // most)
        for fast in {state.fast - 1, state.fast - 2, *((whole - s) * most for s in (1, 2, 3))}:
            if 0 <= fast < state.fast:
                if self.middle:
                    middle = state.middle + state.fast - fast
                    yield replace(state, fast=fast, middle=middle)
                if state.middle == 0:
                    yield replace(state, fast=fast, takes_in=state.takes_in and fast == total)
        for steps in (1, 2, 5, 10):
            if state.middle >= steps:
                yield replace(state, middle=state.middle - steps, takes_in=False)

    def faster(self, state: LayerState) -> Iterator[LayerState]:
        """Small steps back up, for the last bytes."""
        if state.short:
            yield replace(state, short=False)
        if not state.takes_in:
            yield replace(state, takes_in=True)
        left = len(self.rows) - state.fast - state.middle
        if self.fast and state.fast < len(self.rows):
            middle = state.middle - (left == 0)
            yield replace(state, fast=state.fast + 1, middle=middle)
        if self.middle and left:
            yield replace(state, middle=state.middle + 1)


class Options:
    """All layers' options."""

    def __init__(self, estimates: Sequence[LayerEstimate], methods: frozenset[str]) -> None:
        """Of each layer."""
        self.layers = [LayerOptions(estimate, methods) for estimate in estimates]
        self.shares = _SHARE if "shared" in methods else (0,)
        self.overhead = self._overhead()

    def smallest(self) -> Iterator[list[LayerChoice]]:
        """Candidates for the least flash: the exact routine for all rows, or for as few as can."""
        for exact_too in (False, True):
            choices = []
            for layer in self.layers:
                states = {LayerState(0, 0, False), layer.fastest()}
                states |= {replace(state, takes_in=False, short=True) for state in states}
                found = [layer.choice(state) for state in sorted(states, key=str)]
                if exact_too:
                    found.append(layer.choice(LayerState(0, 0, False), exact_only=True))
                choices.append(min(found, key=lambda choice: layer.estimate.of(choice).flash))
            yield choices

    def choices(self, state: State) -> list[LayerChoice]:
        """Groups of all layers."""
        return [layer.choice(one) for layer, one in zip(self.layers, state.layers, strict=True)]

    def cost(self, state: State) -> Cost:
        """Estimate of a state."""
        choices = self.choices(state)
        total = Cost(self.overhead, 0)
        for layer, choice in zip(self.layers, choices, strict=True):
            total += layer.estimate.of(choice)
        if state.share:
            counts = [
                layer.estimate.patterns(choice)
                for layer, choice in zip(self.layers, choices, strict=True)
            ]
            total += sharing(counts, state.share)
        return total

    def slower(self, state: State) -> Iterator[State]:
        """States one step further down."""
        for position, (layer, one) in enumerate(zip(self.layers, state.layers, strict=True)):
            for other in layer.slower(one):
                layers = (*state.layers[:position], other, *state.layers[position + 1 :])
                yield replace(state, layers=layers)
        for share in self.shares[self.shares.index(state.share) + 1 :]:
            yield replace(state, share=share)

    def faster(self, state: State) -> Iterator[State]:
        """States that take more flash than one that fits, but might still."""
        for position, (layer, one) in enumerate(zip(self.layers, state.layers, strict=True)):
            for other in layer.faster(one):
                layers = (*state.layers[:position], other, *state.layers[position + 1 :])
                yield replace(state, layers=layers)

    def _overhead(self) -> int:
        total = _FRAME + _AFTER_LAYER * (len(self.layers) - 1)
        labels = set()
        for layer in self.layers:
            estimate = layer.estimate
            total += 256 if estimate.rows.layer.table is not None else 0
            for row in estimate.rows.rows:
                wide = loop.is_wide(row)
                if not row.is_constant and (wide or estimate.affines[row.index] is None):
                    labels.add(wide)
        return total + sum(exact.routine("", wide).bytes for wide in labels)


def search(
    estimates: Sequence[LayerEstimate], methods: frozenset[str], limit: int | None
) -> tuple[list[LayerChoice], int] | None:
    """Choices and sharing that are estimated to fit; None: none was found."""
    options = Options(estimates, methods)
    state = State(tuple(layer.fastest() for layer in options.layers), 0)
    cost = options.cost(state)
    while limit is not None and cost.flash > limit:
        best: tuple[float, State, Cost] | None = None
        for other in options.slower(state):
            there = options.cost(other)
            if there.flash < cost.flash:
                # Bytes beyond what is needed are worth nothing.
                gain = min(cost.flash - there.flash, cost.flash - limit)
                price = (there.cycles - cost.cycles) / gain
                if best is None or price < best[0]:
                    best = (price, other, there)
        if best is None:
            return None
        _, state, cost = best
    while limit is not None:
        found = [(options.cost(other), other) for other in options.faster(state)]
        found = [(c, other) for c, other in found if c.flash <= limit and c.cycles < cost.cycles]
        if not found:
            break
        cost, state = min(found, key=lambda one: one[0].cycles)
    return options.choices(state), state.share


def _split(indices: Sequence[int], most: int, *, even: bool) -> list[tuple[int, ...]]:
    """Groups of at most `most`: as equal as can be, or all but the last of `most`."""
    count = -(-len(indices) // most)
    parts = []
    start = 0
    for number in range(count):
        size = len(indices) // count + (number < len(indices) % count) if even else most
        parts.append(tuple(indices[start : start + size]))
        start += size
    return parts
