"""A whole program: layers in given forms, with entry, exits and data, as one text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from miniml.kernels.cortex_m4.assembly import Assembly
from miniml.kernels.cortex_m4.columns import STREAM
from miniml.kernels.cortex_m4.frame import (
    SAVED,
    Frame,
    input_columns,
    write_entry,
    write_exit,
    write_return,
    write_stop,
)
from miniml.kernels.cortex_m4.layers import LayerCode, LayerInput, LayerWriter
from miniml.kernels.cortex_m4.passes import Form
from miniml.kernels.cortex_m4.requantize import Requantize
from miniml.kernels.program import Placement
from miniml.model import QuantizedModel

# What a call of an empty function takes: BX LR. TIME takes it off.
EMPTY_CALL = 3


@dataclass(frozen=True, eq=False)
class Program:
    """A model's code before it is text.

    Attributes:
        model: of the code.
        frame: on the stack.
        entry: up to the first layer.
        layers: one a layer.
        exits: behind each hidden layer.
        ending: return and early exits.
    """

    model: QuantizedModel
    frame: Frame
    entry: Assembly
    layers: tuple[LayerCode, ...]
    exits: tuple[Assembly, ...]
    ending: Assembly
    return_cycles: int

    @property
    def run_cycles(self) -> int:
        """Cycles of everything but the layers."""
        return self.entry.cycles + sum(e.cycles for e in self.exits) + self.return_cycles

    @property
    def cycles(self) -> int:
        """Of all layers, the empty call taken off."""
        return self.run_cycles + sum(one.code.cycles for one in self.layers) - EMPTY_CALL

    @property
    def code_size(self) -> int:
        """Bytes of code, filled up to words."""
        parts = [self.entry, self.ending, *self.exits, *(one.code for one in self.layers)]
        parts += [part for one in self.layers for part in one.subroutines]
        return _words(sum(part.size for part in parts))

    @property
    def constants_size(self) -> int:
        """Bytes of the stream, of tables and of rows' orders."""
        words = [len(words) for one in self.layers for _, words in one.stream]
        tables = sum(256 for layer in self.model.layers if layer.table is not None)
        orders = sum(_order_bytes(one.rows) for one in self.layers[:-1])
        return 4 * sum(words) + tables + orders

    @property
    def flash(self) -> int:
        """Bytes of code and constants."""
        return self.code_size + self.constants_size

    def sram(self, placement: Placement) -> int:
        """Bytes of buffers, and of what runs from SRAM."""
        code = self.code_size if placement in ("code", "sram") else 0
        constants = self.constants_size if placement in ("constants", "sram") else 0
        return self.buffers + code + constants

    @property
    def buffers(self) -> int:
        """Bytes of input and output, each filled up to words."""
        return _words(self.model.n_inputs) + _words(max(self.model.widths[1:]))

    @property
    def stack(self) -> int:
        """Bytes below the call."""
        return SAVED + self.frame.size


def _symbol(name: str, what: str) -> str:
    return f"{name}_kernel_{what}"


def _in_order(rows: Sequence[int]) -> bool:
    return list(rows) == list(range(len(rows)))


def _words(size: int) -> int:
    return -(-size // 4) * 4


def _order_bytes(rows: Sequence[int]) -> int:
    return 0 if _in_order(rows) else _words(len(rows) * (1 if len(rows) <= 256 else 2))


def build(
    model: QuantizedModel,
    forms: Sequence[Form],
    plans: Sequence[Sequence[Requantize]],
    *,
    small: bool,
) -> Program:
    """Write all layers in their forms, and the entry small or fast."""
    name, frame = model.name, Frame.of(model)
    output = _symbol(name, "output")
    entry = Assembly()
    added = write_entry(entry, model, frame, small=small)
    entry.address(STREAM, _symbol(name, "stream"))
    columns = input_columns(model.n_inputs)
    layers: list[LayerCode] = []
    exits: list[Assembly] = []
    ending = Assembly()
    write_return(ending, frame, name, output)
    return_cycles = ending.cycles
    for number, (layer, form) in enumerate(zip(model.layers, forms, strict=True), start=1):
        last = number == len(model.layers)
        offset = 0 if last else frame.offsets[number]
        writer = LayerWriter(
            label=f".L{name}_{number}",
            layer=layer,
            plans=plans[number - 1],
            source=LayerInput(frame.offsets[number - 1], columns, added),
            form=form,
            offset=offset,
            output=output if last else "",
            table=None if layer.table is None else _symbol(name, f"table_{number}"),
        )
        layers.append(writer.write())
        columns, added = layers[-1].rows, 0
        if not last:
            exits.append(Assembly())
            write_exit(exits[-1], name, number)
            order = "" if _in_order(columns) else _symbol(name, f"order_{number}")
            write_stop(ending, name, number, offset, columns, output, order)
    return Program(model, frame, entry, tuple(layers), tuple(exits), ending, return_cycles)


def text_of(program: Program, header: Sequence[str], placement: Placement) -> str:
    """The assembly, for the C preprocessor and GNU as."""
    model, name = program.model, program.model.name
    run = f"{name}_run_layers"
    in_sram = placement in ("code", "sram")
    code = f'.data.{run},"aw",%progbits' if in_sram else f'.text.{run},"ax",%progbits'
    lines = [
        "/* " + "\n * ".join(header) + " */",
        ".syntax unified",
        ".cpu cortex-m4",
        ".thumb",
        "",
    ]
    lines += [f".section {code}", ".balign 16", f".global {run}", f".type {run}, %function"]
    lines += [".thumb_func", f"{run}:", *program.entry.lines]
    for number, one in enumerate(program.layers, start=1):
        layer = model.layers[number - 1]
        lines.append(f"  @ layer {number}: {layer.n_inputs}-{layer.n_outputs} {layer.activation}")
        lines += one.code.lines
        if number < len(program.layers):
            lines += ["  @ the run: leave early?", *program.exits[number - 1].lines]
    lines += ["  @ the run: return", *program.ending.lines]
    lines += [text for one in program.layers for part in one.subroutines for text in part.lines]
    lines += [f".size {run}, . - {run}", ".balign 4", ""]
    words = [line for n, one in enumerate(program.layers, 1) for line in _stream_lines(n, one)]
    lines += _object(name, "stream", placement, words)
    for number, (layer, one) in enumerate(zip(model.layers, program.layers, strict=True), start=1):
        if layer.table is not None:
            # -128 stands for -127: the saturation that comes before ends there.
            table = [int(layer.table[1]), *layer.table[1:].tolist()]
            lines += _object(name, f"table_{number}", placement, _numbers(".byte", table))
        if number < len(program.layers) and not _in_order(one.rows):
            directive = ".byte" if len(one.rows) <= 256 else ".hword"
            content = _numbers(directive, one.rows)
            lines += _object(name, f"order_{number}", placement, content)
    buffer, output = f"{name}_input_buffer", _symbol(name, "output")
    lines += [f".global {buffer}", *_space(buffer, model.n_inputs)]
    lines += _space(output, max(model.widths[1:]))
    return "\n".join(lines) + "\n"


def _stream_lines(number: int, one: LayerCode) -> Iterator[str]:
    for comment, words in one.stream:
        if words:
            yield f"  @ layer {number}, {comment}"
        for at in range(0, len(words), 8):
            yield "  .word " + ", ".join(f"0x{word:08X}" for word in words[at : at + 8])


def _numbers(directive: str, values: Sequence[int]) -> list[str]:
    found = np.asarray(values).tolist()
    return [
        f"  {directive} " + ", ".join(map(str, found[at : at + 16]))
        for at in range(0, len(found), 16)
    ]


def _object(name: str, what: str, placement: Placement, content: Sequence[str]) -> list[str]:
    """Constants, aligned and filled up to words: the size is the linker's."""
    symbol = _symbol(name, what)
    in_flash = placement in ("flash", "code")
    section = f'.rodata.{symbol},"a"' if in_flash else f'.data.{symbol},"aw"'
    return [
        f".section {section},%progbits",
        ".balign 4",
        f".type {symbol}, %object",
        f"{symbol}:",
        *content,
        f".size {symbol}, . - {symbol}",
        ".balign 4",
        "",
    ]


def _space(symbol: str, size: int) -> list[str]:
    return [
        f'.section .bss.{symbol},"aw",%nobits',
        ".balign 4",
        f".type {symbol}, %object",
        f"{symbol}:",
        f"  .space {size}",
        f".size {symbol}, {size}",
        ".balign 4",
        "",
    ]
