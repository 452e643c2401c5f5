"""One program that runs many nets by one backend, on this machine or on a simulated core."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backend_nets
import cmsis_nn_library
import numpy as np
from backend_nets import Net
from host_program import KERNEL, WARNINGS

from miniml.adapters import float_modes, int8, native
from miniml.adapters.cmsis_nn import adapter
from miniml.float_net import FLOAT_MODES, FloatMode
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import Machine

# Of each net these rows are compared layer by layer, the others by their outputs.
LAYER_ROWS = 32
_INPUTS_AT = 0x2004_0000

# Any header, whatever the type of its values; not every one is for the link.
_NET = """
typedef struct {
  uint8_t n_layers;
  uint8_t value_size;
  uint16_t n_inputs;
  uint16_t widths[8];
  const void *(*run)(const void *in, uint8_t n_layers);
} net;
"""
_WRAPPER = """
static const void *{0}_run(const void *in, uint8_t n_layers) {{
  return {0}_run_layers(in, n_layers);
}}
"""
_HOST_MAIN = r"""
int main(void) {
  static union {
    int8_t bytes[4096];
    float aligned;
  } buffer;
  int8_t *const in = buffer.bytes;
  for (unsigned m = 0; m < sizeof nets / sizeof nets[0]; m++) {
    const net *const model = &nets[m];
    for (unsigned row = 0; row < ROWS; row++) {
      if (fread(in, model->value_size, model->n_inputs, stdin) != model->n_inputs) {
        return 1;
      }
      for (uint8_t n = row < LAYER_ROWS ? 1 : model->n_layers; n <= model->n_layers; n++) {
        fwrite(model->run(in, n), model->value_size, model->widths[n - 1], stdout);
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
  const net *const model = &nets[number];
  for (uint32_t row = 0; row < ROWS; row++, in += model->n_inputs * model->value_size) {
    for (uint8_t n = row < LAYER_ROWS ? 1 : model->n_layers; n <= model->n_layers; n++) {
      const uint32_t size = (uint32_t)model->widths[n - 1] * model->value_size;
      memcpy(out, model->run(in, n), size);
      out += size;
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
        mode: of the nets, where they compute in floats.
        core: where it runs; "host" is this machine.
        flags: of the compilation.
        library: CMSIS-NN's objects are linked.
    """

    name: str
    header: Callable[[Any, str], str]
    core: str = "host"
    mode: FloatMode | None = None
    flags: tuple[str, ...] = ("-O2",)
    library: bool = False


HOST_BACKENDS = (
    Backend("int8", int8.generate),
    Backend("int8, half products", int8.generate, flags=("-O2", "-DMINIML_HALF_PRODUCTS=1")),
    Backend("native", native.generate),
    Backend("cmsis_nn, portable", adapter.generate),
    Backend("cmsis_nn, CMSIS-NN", adapter.generate, library=True),
    *(Backend(mode, float_modes.generate, mode=mode) for mode in FLOAT_MODES),
)
ARM_BACKENDS = tuple(
    dataclasses.replace(backend, name=f"{backend.name} on {core}", core=core)
    for core in ("cortex-m4", "cortex-m0plus")
    for backend in HOST_BACKENDS
    if "half" not in backend.name and "portable" not in backend.name
)


def make_net(
    backend: Backend, seed: tuple[int, ...], name: str, rows: int, most_weights: int = 10**9
) -> Net:
    """A net that the backend can run."""
    if backend.mode:
        return backend_nets.float_net(backend.mode, seed, name, rows, most_weights)
    return backend_nets.net(seed, name, rows, most_weights)


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
    text = f"#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n{text}{_NET}"
    text += "".join(_WRAPPER.format(net.model.name) for net in nets)
    size = 4 if backend.mode else 1
    rows = ",\n".join(
        f"  {{{len(net.model.layers)}, {size}, {net.model.n_inputs}, {{{widths}}}, "
        f"{net.model.name}_run}}"
        for net in nets
        for widths in [", ".join(map(str, net.model.widths[1:]))]
    )
    text += f"static const net nets[] = {{\n{rows}}};\n"
    text += f"#define ROWS {len(nets[0].inputs)}u\n#define LAYER_ROWS {LAYER_ROWS}u\n"
    if backend.core == "host":
        return _split(_run_host(backend, text + _HOST_MAIN, headers, nets, folder), nets)
    return _run_arm(backend, text + _ARM_MAIN, headers, nets, folder)


def _split(content: bytes, nets: Sequence[Net]) -> list[bytes]:
    parts, at = [], 0
    for one in nets:
        size = len(expected(one))
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
        sources += map(str, cmsis_nn_library.host_objects())
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


def differing(backend: Backend, found: bytes, wanted: bytes) -> int:
    """Bytes that differ; two NaN are alike."""
    assert len(found) == len(wanted)
    parts = [np.frombuffer(content, np.int8) for content in (found, wanted)]
    if backend.mode:
        floats = [part.view(np.float32) for part in parts]
        parts = [np.where(np.isnan(f), np.float32(np.nan), f).view(np.int8) for f in floats]
    return int(np.count_nonzero(parts[0] != parts[1]))
