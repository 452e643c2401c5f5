"""One program that runs many nets by one backend, on this machine or on a simulated core."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cmsis_nn_library
import numpy as np
from backend_nets import Net
from host_program import KERNEL, WARNINGS

from miniml.adapters import int8
from miniml.adapters.cmsis_nn import adapter
from miniml.model import QuantizedModel
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import Machine

# Of each net these rows are compared layer by layer, the others by their outputs.
LAYER_ROWS = 32
_INPUTS_AT = 0x2004_0000

_HOST_MAIN = r"""
int main(void) {
  static int8_t in[4096];
  for (unsigned m = 0; m < sizeof models / sizeof models[0]; m++) {
    const miniml_model *const model = models[m];
    for (unsigned row = 0; row < ROWS; row++) {
      if (fread(in, 1, model->n_inputs, stdin) != model->n_inputs) {
        return 1;
      }
      for (uint8_t n = row < LAYER_ROWS ? 1 : model->n_layers; n <= model->n_layers; n++) {
        fwrite(model->run_layers(in, n), 1, model->widths[n - 1], stdout);
      }
    }
  }
  return 0;
}
"""
_ARM_MAIN = r"""
void benchmark_empty(void);
void benchmark_empty(void) {}
int8_t *benchmark_run(uint32_t number, const int8_t *in, int8_t *out);
int8_t *benchmark_run(uint32_t number, const int8_t *in, int8_t *out) {
  const miniml_model *const model = models[number];
  for (uint32_t row = 0; row < ROWS; row++, in += model->n_inputs) {
    for (uint8_t n = row < LAYER_ROWS ? 1 : model->n_layers; n <= model->n_layers; n++) {
      memcpy(out, model->run_layers(in, n), model->widths[n - 1]);
      out += model->widths[n - 1];
    }
  }
  return out;
}
"""


@dataclass(frozen=True)
class Backend:
    """A way to compute a model.

    Attributes:
        name: of the mode, and how it is built.
        header: the text of `<name>_model.h`.
        core: where it runs; "host" is this machine.
        flags: of the compilation.
        library: CMSIS-NN's objects are linked.
    """

    name: str
    header: Callable[[QuantizedModel, str], str]
    core: str = "host"
    flags: tuple[str, ...] = ("-O2",)
    library: bool = False


HOST_BACKENDS = (
    Backend("int8", int8.generate),
    Backend("int8, half products", int8.generate, flags=("-O2", "-DMINIML_HALF_PRODUCTS=1")),
    Backend("cmsis_nn, portable", adapter.generate),
    Backend("cmsis_nn, CMSIS-NN", adapter.generate, library=True),
)
ARM_BACKENDS = tuple(
    Backend(f"{name} on {core}", generator, core, library=library)
    for core in ("cortex-m4", "cortex-m0plus")
    for name, generator, library in (
        ("int8", int8.generate, False),
        ("cmsis_nn, CMSIS-NN", adapter.generate, True),
    )
)


def expected(found: Net) -> bytes:
    """The bytes that every backend's program gives for a net."""
    rows = range(len(found.inputs))
    return b"".join(
        outputs[row].tobytes()
        for row in rows
        for outputs in (found.outputs if row < LAYER_ROWS else found.outputs[-1:])
    )


def run(backend: Backend, nets: Sequence[Net], folder: Path) -> list[bytes]:
    """What a backend gives for each net; `folder` is an empty one."""
    headers = {f"{net.model.name}_model.h": backend.header(net.model, "a campaign") for net in nets}
    text = "".join(f'#include "{name}"\n' for name in headers)
    # Two of the backends include it by themselves.
    text = f"#include <miniml.h>\n#include <stdio.h>\n{text}"
    models = ", ".join(f"&{net.model.name}_model" for net in nets)
    text += f"static const miniml_model *const models[] = {{{models}}};\n"
    text += f"#define ROWS {len(nets[0].inputs)}u\n#define LAYER_ROWS {LAYER_ROWS}u\n"
    if backend.core == "host":
        return _split(_run_host(backend, text + _HOST_MAIN, headers, nets, folder), nets)
    return _run_arm(backend, text + _ARM_MAIN, headers, nets, folder)


def _split(content: bytes, nets: Sequence[Net]) -> list[bytes]:
    parts, at = [], 0
    for net in nets:
        size = len(expected(net))
        parts.append(content[at : at + size])
        at += size
    assert at == len(content)
    return parts


def _run_host(
    backend: Backend, main: str, headers: dict[str, str], nets: Sequence[Net], folder: Path
) -> bytes:
    for name, text in {**headers, "main.c": main}.items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = ["main.c", *map(str, sorted(KERNEL.glob("*.c")))]
    extra: list[str] = []
    if backend.library:
        sources += map(str, cmsis_nn_library.host_objects(folder / "library"))
        extra += cmsis_nn_library.host_flags()
    program = folder / "program"
    command = ["gcc", "-std=c99", *WARNINGS, *backend.flags, *extra, f"-I{folder}", f"-I{KERNEL}"]
    done = subprocess.run(
        [*command, *sources, "-o", str(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    given = b"".join(net.inputs.tobytes() for net in nets)
    return subprocess.run([str(program)], input=given, capture_output=True, check=True).stdout


def _run_arm(
    backend: Backend, main: str, headers: dict[str, str], nets: Sequence[Net], folder: Path
) -> list[bytes]:
    program = cmsis_nn_library.arm_program(
        backend.core,
        main,
        headers,
        folder,
        flags=("-DCMSISNN_ENABLED",) if backend.library else (),
    )
    machine = Machine.bare("cortex-m4" if backend.core == "cortex-m4" else "cortex-m0plus")
    try:
        machine.load_elf(program)
        found = []
        for number, net in enumerate(nets):
            size = len(expected(net))
            given = net.inputs.tobytes()
            results_at = _INPUTS_AT + (len(given) + 7) // 8 * 8
            assert results_at + size < 0x200F_0000
            machine.write(_INPUTS_AT, given)
            machine.write(results_at, bytes(size))
            done = machine.call(
                machine.symbols["benchmark_run"], number, _INPUTS_AT, results_at, cycles=10**12
            )
            assert done.stop is Stop.TRAP, done.stop
            assert done.value == results_at + size
            found.append(machine.read(results_at, size))
        return found
    finally:
        machine.close()


def differing(found: bytes, wanted: bytes) -> int:
    """Bytes that differ."""
    assert len(found) == len(wanted)
    return int(np.count_nonzero(np.frombuffer(found, np.int8) != np.frombuffer(wanted, np.int8)))
