"""CMSIS-NN's own kernels in whole firmware on the simulated STM32F4 and Pico, byte by byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import cmsis_nn_library
from hil_bench import ROOT, Bench

from miniml.bench.cmsis_nn import sources
from miniml.lock import read_lock
from pio_extra.miniml_hook import cmsis_nn
from pio_extra.offline import kit

ROWS = 5


def project(folder: Path) -> Path:
    """A platformio.ini: digits per_channel on the STM32F4, the same per_layer on the Pico."""
    per_layer = folder / "per_layer"
    shutil.copytree(ROOT / "firmware" / "models" / "digits", per_layer)
    settings = per_layer / "model.toml"
    text = settings.read_text(encoding="utf-8")
    assert text.count("per_channel = true") == 1
    settings.write_text(text.replace("per_channel = true", "per_channel = false"), "utf-8")
    ini = (ROOT / "platformio.ini").read_text(encoding="utf-8")
    for old, new in (
        (
            "\n[env]\n",
            "\n[env]\ncustom_miniml_mode = cmsis_nn\n"
            f"lib_extra_dirs = {folder / 'libraries'}\nlib_deps = CMSIS-NN\n",
        ),
        ("build_flags =\n", "build_flags =\n    -DCMSISNN_ENABLED\n"),
        (
            "[env:pico]\n",
            f"[env:pico]\nbuild_flags = -DCMSISNN_ENABLED\ncustom_miniml_model = {per_layer}\n",
        ),
    ):
        assert ini.count(old) == 1
        ini = ini.replace(old, new)
    (folder / "platformio.ini").write_text(ini, encoding="utf-8")
    cmsis_nn_library.platformio_library(folder / "libraries")
    return folder / "platformio.ini"


def test_both_boards_give_the_reference_s_bytes(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "workspace", tmp_path / "core")
    kit.prepare(bench.core)
    boards = ("-e", "stm32f4", "-e", "pico")
    built = bench.pio("run", "-c", str(project(tmp_path)), *boards)
    assert built.returncode == 0, built.stdout
    # Of the library only what a header calls is compiled.
    files = {word for word in built.stdout.split() if "/CMSIS-NN/" in word and word.endswith(".o")}
    assert {Path(word).name.removesuffix(".o") for word in files} <= cmsis_nn.FILES
    assert len(files) == 2 * len(sources())
    words = [word for board in ("stm32f4", "pico") for word in ("--board", board)]
    counts = ("--samples", str(ROWS), "--random", str(ROWS), "--floats", str(ROWS))
    done = bench.miniml("run", *words, *counts)
    assert done.returncode == 0, done.stdout + done.stderr
    for board in bench.report()["boards"]:
        assert (board["verdict"], board["samples"], board["mismatches"]) == ("PASS", ROWS, 0)
        assert board["simulated"] is True
        assert board["mode"] == "cmsis_nn"
    lock = read_lock(tmp_path / "per_layer" / "model.lock.json")
    assert lock is not None
    assert all(len({*layer.shifts.tolist()}) == 1 for layer in lock.model.layers)
