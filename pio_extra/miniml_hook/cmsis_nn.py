"""CMSIS-NN as Arm publishes it: a repository that PlatformIO takes for one large library.

It has no library.json, so all of it would be compiled, tests and Python bindings too. Here the few
files that a generated header calls are picked, and optimized for speed.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

LIBRARY = "CMSIS-NN"
# By name; releases differ in which of them they have (miniml/bench/cmsis_nn.py names the folders).
FILES = frozenset(
    f"arm_{name}.c"
    for name in (
        "convolve_1x1_s8_fast",
        "convolve_get_buffer_sizes_s8",
        "convolve_s8",
        "fully_connected_get_buffer_sizes_s8",
        "fully_connected_per_channel_s8",
        "fully_connected_s8",
        "nn_mat_mult_kernel_row_offset_s8_s16",
        "nn_mat_mult_kernel_s8_s16",
        "nn_mat_mult_nt_t_s8",
        "nn_vec_mat_mult_t_per_ch_s8",
        "nn_vec_mat_mult_t_s8",
        "q7_to_q15_with_offset",
        "s8_to_s16_unordered_with_offset",
    )
)


def pick_sources(env: Any) -> None:
    """Let a library folder named CMSIS-NN compile FILES only, with -O2 for -Os."""
    env.AddBuildMiddleware(_pick, f"*{LIBRARY}*")


def _pick(env: Any, node: Any) -> Any:
    path = PurePath(node.srcnode().get_path())
    # The folder itself may have a version behind its name, a file elsewhere may not.
    if not any(part.partition("@")[0] == LIBRARY for part in path.parts[:-1]):
        return node
    if path.name not in FILES:
        return None
    flags = [flag for flag in env["CCFLAGS"] if flag != "-Os"]
    return env.Object(node, CCFLAGS=[*flags, "-O2"])
