"""The function around the layers: registers saved, inputs in, the way out after each layer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Constants

_CALL_SAVED = (*range(2, 18), 28, 29)
_PAIRED = ("movw", "adiw", "sbiw")


@dataclass(frozen=True, eq=False)
class Program:
    """The whole text, and what it takes.

    Attributes:
        text: for the C preprocessor and GNU as.
        flash, sram, stack: bytes.
        run: cycles of the function but for its layers, less those of an empty function.
    """

    text: str
    flash: int
    sram: int
    stack: int
    run: int


def leave_after(number: int, label: str, result: str, done: str) -> Code:
    """After a layer that isn't the last: out, if no more layers were asked for."""
    code = Code()
    code.op(f"lds r24, {label}", f"cpi r24, {number}", "brne 1f")
    stay = code.cycles + 1
    code.load_address(24, result)
    code.op(f"jmp {done}")
    code.label("1")
    code.cycles = stay
    return code


def used_registers(code: Sequence[Code]) -> list[int]:
    """Call-saved registers that the code writes or reads."""
    used: set[int] = set()
    for line in {line for part in code for line in part.lines}:
        text = line.split(";")[0]
        found = {int(number) for number in re.findall(r"\br(\d+)\b", text)}
        if any(name in text for name in _PAIRED):
            found |= {register + 1 for register in found}
        used |= found
        used |= {28, 29} if re.search(r"\bY\b", text) else set()
    return [register for register in _CALL_SAVED if register in used]


def write(
    name: str,
    title: Sequence[str],
    layers: Sequence[Code],
    routines: dict[str, Code],
    constants: Constants,
    variables: dict[str, int],
    result: str,
) -> Program:
    """The assembly of a model.

    Args:
        name: prefix of all symbols.
        title: comment lines.
        layers: code of each, the way out after it included (`leave_after`).
        routines: subroutines by label.
        constants: bytes in flash.
        variables: bytes of SRAM by symbol; `<name>_layers_wanted` among them with more layers.
        result: address of the last layer's outputs.
    """
    saved = used_registers([*layers, *routines.values()])
    wanted = f"{name}_layers_wanted"
    start, end = Code(), Code()
    start.op(*(f"push r{register}" for register in saved), "movw r26, r24")
    if wanted in variables:
        start.op(f"sts {wanted}, r22")
    end.comment("as long as the way out after another layer")
    end.load_address(24, result)
    end.op("rjmp .+0")
    end.label(f"{name}_done")
    end.op(*(f"pop r{register}" for register in saved[::-1]), "clr r1", "ret")
    parts = [start, *layers, end]
    function = f"{name}_run_layers"
    lines = [*(f"; {line}" for line in title), "", _CHECK]
    lines += [f'.section .text.{function}, "ax", @progbits', f".global {function}"]
    lines += [f".type {function}, @function", f"{function}:"]
    lines += [line for part in parts for line in part.lines]
    lines += [line for code in routines.values() for line in code.lines]
    lines += [f".size {function}, . - {function}", ""]
    lines += _constants(constants)
    lines += _variables(name, variables)
    calls = any("call " in line for line in lines)
    flash = sum(code.bytes for code in (*parts, *routines.values())) + constants.bytes
    return Program(
        "\n".join([*lines, ""]),
        flash,
        sum(variables.values()),
        2 + len(saved) + (2 if calls else 0),
        start.cycles + end.cycles - 4,
    )


_CHECK = """#if !defined(__AVR__) || !defined(__AVR_HAVE_MUL__) || !defined(__AVR_HAVE_LPMX__)
#error "this kernel is for AVRs with MUL and LPM Z+, such as the ATmega328P: generate again"
#endif
#ifdef __AVR_3_BYTE_PC__
#error "this kernel is for AVRs with at most 128 KB of flash: its cycles would be others"
#endif
"""


def _constants(constants: Constants) -> list[str]:
    lines = []
    for label, content in constants.content.items():
        lines += [f'.section .progmem.data.{label}, "a", @progbits', f".type {label}, @object"]
        lines.append(f"{label}:")
        lines += [
            "    .byte " + ", ".join(str(byte & 255) for byte in content[at : at + 20])
            for at in range(0, len(content), 20)
        ]
        lines += [f".size {label}, {len(content)}", ""]
    return lines


def _variables(name: str, variables: dict[str, int]) -> list[str]:
    lines = []
    for symbol, size in variables.items():
        lines.append(f'.section .bss.{symbol}, "aw", @nobits')
        if symbol == f"{name}_input_buffer":
            lines.append(f".global {symbol}")
        lines += [f".type {symbol}, @object", f"{symbol}:", f"    .zero {size}"]
        lines += [f".size {symbol}, {size}", ""]
    return lines
