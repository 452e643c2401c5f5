"""PlatformIO post: script: the build id before the compiler, the gate after the linker.

Runs once all flags are known. Writes miniml_build_id.h where it changed, and beside the ELF
build.json, by which the harness knows what it flashes. docs/BUILD_HOOK.md has the order.
"""

import json
import sys
from pathlib import Path

from miniml_hook import (
    build_id,
    firmware_size,
    interpreter,
    link_cost,
    options,
    output_file,
    record,
    stamp,
    targets,
)
from SCons.Script import COMMAND_LINE_TARGETS

Import("env")

choices = options.read_options(env)


def world_of(platform):
    """kit or official, by the mark that the kit leaves in its platforms."""
    try:
        mark = json.loads((Path(platform.get_dir()) / "miniml_kit.json").read_text("utf-8"))
        return str(mark["world"])
    except FileNotFoundError:
        return "official"


def folders_of_this_machine():
    """(folder, role) for everything that lies elsewhere on another machine."""
    roles = ("BUILD_DIR", "PROJECT_DIR", "PROJECT_PACKAGES_DIR", "PROJECT_CORE_DIR")
    found = [(str(Path(env.subst(f"${role}")).absolute()), f"<{role}>") for role in roles]
    packages = env.PioPlatform().get_installed_packages()
    found += [(package.path, f"<{package.metadata.name}>") for package in packages]
    return [*found, (env.PioPlatform().get_dir(), "<PLATFORM>"), (str(Path.home()), "<HOME>")]


def flags():
    """Everything that changes the machine code, of the framework's and the project's files."""
    Import("projenv")
    folders = folders_of_this_machine()
    return {
        f"{name}{variable}": build_id.without_folders(scope.subst(variable), folders)
        for name, scope in (("framework", env), ("project", projenv))
        for variable in build_id.FLAG_VARIABLES
    }


def describe(prepared):
    """What is known of the build before it is compiled: build.json but for the ELF's part."""
    platform = env.PioPlatform()
    compiler = build_id.find_compiler(
        env.subst("$CC"), str(env["ENV"]["PATH"]), choices.out_dir / "compiler.json"
    )
    found = flags()
    roots = {
        "src": Path(env.subst("$PROJECT_SRC_DIR")),
        "include": Path(env.subst("$PROJECT_INCLUDE_DIR")),
        "lib": Path(env.GetProjectConfig().get("platformio", "lib_dir")),
        "libdeps": Path(env.subst("$PROJECT_LIBDEPS_DIR")) / env["PIOENV"],
    }
    packages = {p.metadata.name: str(p.metadata.version) for p in platform.get_installed_packages()}
    identity = build_id.build_id(
        {
            "model_id": prepared["model"]["model_id"],
            "headers": prepared["outputs"],
            "sources": build_id.source_hashes(roots),
            "compiler": compiler.banner,
            "flags": found,
            "platform": f"{platform.name}@{platform.version}",
            "packages": packages,
        }
    )
    return {
        "build_id": identity,
        "model": prepared["model"]["name"],
        "model_id": prepared["model"]["model_id"],
        "mode": prepared["model"]["mode"],
        "model_dir": prepared["model"]["dir"],
        "kernels_sha256": prepared["outputs"].get(f"{prepared['model']['name']}_kernels.S"),
        "env": env["PIOENV"],
        "world": world_of(platform),
        "platform": f"{platform.name}@{platform.version}",
        "toolchain": compiler.toolchain(found["project$CCFLAGS"]),
    }


def size_of(elf):
    """Bytes of a linked program, as PlatformIO counts them."""
    command = [
        str(elf) if word in ("$SOURCES", "$SOURCE") else env.subst(word)
        for word in str(env.get("SIZECHECKCMD", "$SIZETOOL -B -d $SOURCES")).split()
    ]
    search_path = str(env["ENV"]["PATH"])
    return firmware_size.total_size(
        elf, command, env["SIZEPROGREGEXP"], env["SIZEDATAREGEXP"], search_path
    )


def measure(node, elf):
    """Bytes of the linked firmware, and what the link has in them."""
    total = size_of(elf)
    folder = choices.out_dir / "without_link"
    bare = link_cost.link_without(node, folder, keep_input=False)
    kept = link_cost.link_without(node, folder / "keep_input", keep_input=True)
    if bare is not None and kept is not None:
        rest, with_input = size_of(bare), size_of(kept)
        if total.flash <= rest.flash:  # the link was left out already
            with_input = rest
        link = firmware_size.Size(total.flash - with_input.flash, total.sram - with_input.sram)
        float_input, method = with_input.flash - rest.flash, "measured"
    else:
        nm = env.subst("$CC").replace("-gcc", "-nm")
        symbols = firmware_size.run_tool([nm, "-S", str(elf)], str(env["ENV"]["PATH"]))
        link = firmware_size.link_size(symbols)
        float_input, method = None, "by symbols"
    return {
        "flash": total.flash,
        "sram": total.sram,
        "link": {
            "flash": link.flash,
            "sram": link.sram,
            "float_input": float_input,
            "method": method,
        },
    }


def gate(target, source, env):
    """After the size check: build.json for this ELF, or a failed build."""
    elf = Path(str(source[0])).absolute()
    try:
        elf_sha256 = output_file.sha256_of(elf)
        found = record.read_record(record_path, elf_sha256, build["build_id"])
        if found is None:
            found = {**build, "elf_sha256": elf_sha256, **measure(source[0], elf)}
        record.check_budget(found, prepared["board"], record_path)
        record.write_record(record_path, found)
    except interpreter.HookError as error:
        sys.stderr.write(f"Error: MiniML: {error}\n")
        return 1
    print(record.summary(found, prepared["board"]))
    return 0


def forget(target, source, env):
    """Before the linker: what described the old ELF is gone."""
    try:
        output_file.remove(record_path)
    except interpreter.HookError as error:
        sys.stderr.write(f"Error: MiniML: {error}\n")
        return 1
    return 0


record_path = choices.out_dir / record.RECORD_FILE
if targets.compiles(COMMAND_LINE_TARGETS):
    prepared = stamp.read_stamp(choices.out_dir)
    try:
        build = describe(prepared)
        output_file.write_if_changed(
            choices.out_dir / "miniml_build_id.h",
            build_id.header_text(build["build_id"]).encode("ascii"),
        )
    except interpreter.HookError as error:
        sys.stderr.write(f"Error: MiniML: {error}\n")
        env.Exit(1)
    env.AddPreAction(env["PIOMAINPROG"], env.VerboseAction(forget, None))
    env.AddPostAction("checkprogsize", env.VerboseAction(gate, None))
