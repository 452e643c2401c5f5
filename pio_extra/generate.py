"""PlatformIO pre: script: the model's files are up to date before anything compiles.

Standard library only. Training, quantizing and generating happen in a process of their own
(`python -m miniml.build`), and not even that is started where a stamp says that nothing
has changed. docs/BUILD_HOOK.md describes the options.
"""

import os
import sys
from inspect import currentframe
from pathlib import Path

from miniml_hook import cmsis_nn, interpreter, options, stamp, targets, upload
from SCons.Script import ARGUMENTS, COMMAND_LINE_TARGETS

Import("env")

# SCons runs this text without a __file__.
hook_file = Path(currentframe().f_code.co_filename)
choices = options.read_options(env)
# Also an IDE that only asks for include paths needs this one.
env.AppendUnique(CPPPATH=[str(choices.out_dir)])
cmsis_nn.pick_sources(env)
if "upload" in COMMAND_LINE_TARGETS:
    upload.apply_settings(env, choices.board)


def generate():
    """Bring the headers up to date, or end the build with one line."""
    arguments = choices.arguments()
    key = stamp.key_of(arguments, ["CI" if os.environ.get("CI") else ""])
    if stamp.is_current(stamp.read_stamp(choices.out_dir), key, choices.out_dir):
        return
    checkout = hook_file.resolve().parent.parent
    own = env.subst("$PYTHONEXE")
    text = interpreter.run_package(
        interpreter.candidates(choices.project_dir, checkout, choices.python, own),
        checkout,
        [*arguments, "--key", key, *(["--progress"] if int(ARGUMENTS.get("ISATTY", 0)) else [])],
        choices.install == "yes",
    )
    sys.stdout.write(text)
    sys.stdout.flush()


if targets.compiles(COMMAND_LINE_TARGETS) and not env.IsCleanTarget():
    try:
        options.check(choices)
        generate()
    except interpreter.HookError as error:
        sys.stderr.write(f"Error: MiniML: {error}\n")
        env.Exit(1)
    except SystemExit:
        env.Exit(1)
# The model's kernels (<name>_kernels.S), where it has some: sources can be added only here, before
# the platform's builder describes the program.
env.BuildSources(str(choices.out_dir.with_name("miniml_kernels")), str(choices.out_dir), "+<*.S>")
