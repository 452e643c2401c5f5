"""What every simulated ARM board does: run its firmware, keep time, talk to the host."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from miniml.sim.arm.clock import Clock
from miniml.sim.arm.control import Control
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import Machine
from miniml.sim.arm.memory import Memory
from miniml.sim.arm.port import Port
from miniml.sim.arm.uart import Uart

SLICE_SECONDS = 0.002  # of simulated time between two looks at the port
IDLE_SECONDS = 0.05  # longest wait for the host; then the firmware's timers are let run
LARGEST_LAG_SECONDS = 0.2  # a slower host makes time slower, not the firmware hurried


class Power:
    """A board's states."""

    OFF = "off"
    RUNNING = "running"
    LOADER = "loader"
    CRASHED = "crashed"


class Board:
    """A board behind a PTY and a control socket. Subclasses add the chip and its loader.

    Args:
        state: the folder with `port`, `control` and `flash.bin`; made if missing.
        realtime: False lets busy firmware run as fast as this machine can.
    """

    name = ""
    flash: Memory
    clock: Clock
    machine: Machine | None
    uart: Uart

    def __init__(self, state: Path, realtime: bool) -> None:
        """Open the port and the control socket; the chip is built by `start`."""
        state.mkdir(parents=True, exist_ok=True)
        self.state_dir = state
        self.realtime = realtime
        # Set before `start`: count the flash's wait states and caches (docs/SIMULATOR_ARM.md).
        self.as_shipped = False
        self.power = Power.OFF
        self.reason = ""
        self.resets = 0
        self.port: Port | None = None
        self._last_port = ""
        self.machine = None
        self.finished = False
        self._flash_file = state / "flash.bin"
        self._anchor: tuple[float, float] | None = None
        self.control = Control(state / "control", self.command)
        self._wake_up, self._waker = socket.socketpair()

    # ---- what a chip provides ----

    def build(self) -> None:
        """Make a fresh machine, clock and UART around the flash."""
        raise RuntimeError("a board without a chip")

    def boot(self) -> None:
        """Let the machine begin where the chip's ROM would."""
        raise RuntimeError("a board without a chip")

    def serve_loader(self, content: bytes) -> None:
        """The host sent this while the loader is in charge."""

    def poll_loader(self) -> None:
        """Called regularly while the loader is in charge."""

    def chip_command(self, words: list[str]) -> dict[str, Any]:
        """A control command that only this chip knows."""
        raise ValueError(f"unknown command {words[0]!r}")

    # ---- life ----

    def log(self, text: str) -> None:
        """A line for whoever started the board."""
        print(text, flush=True)

    def open_port(self) -> None:
        """A fresh PTY, announced once usable."""
        self.port = Port(self.state_dir / "port", avoid=self._last_port)
        self._last_port = self.port.name
        self.log(f"ready {self.port.name}")

    def close_port(self) -> None:
        """The port vanishes."""
        if self.port:
            self.port.close()
            self.port = None

    def load_flash(self) -> None:
        """Take the flash from its file, erased where the file is shorter or missing."""
        if self._flash_file.exists():
            content = self._flash_file.read_bytes()
            self.flash.load(content[: self.flash.size])

    def save_flash(self) -> None:
        """Keep the flash over restarts."""
        fresh = self._flash_file.with_name(f".flash-{os.getpid()}")
        fresh.write_bytes(bytes(self.flash.content))
        fresh.replace(self._flash_file)

    def start(self) -> None:
        """Power up, or come out of reset."""
        if self.machine:
            self.machine.close()
        self.resets += 1
        self.reason = ""
        self.power = Power.RUNNING
        self._anchor = None
        self.build()
        self.boot()

    def firmware_reset(self) -> None:
        """The firmware asked for a reset."""
        self.start()

    def shut_down(self) -> None:
        """Leave nothing behind but the flash."""
        self.close_port()
        self.control.close()
        self._wake_up.close()
        self._waker.close()
        if self.machine:
            self.machine.close()
            self.machine = None

    def end(self) -> None:
        """From a signal handler: leave `run` soon, whatever the firmware does."""
        self.finished = True
        self._waker.send(b"x")

    def run(self) -> None:
        """Live until `quit` or `end`."""
        while not self.finished:
            timeout = self._step()
            self._wait(timeout)

    # ---- one turn of the loop ----

    def _step(self) -> float:
        """Run a slice of firmware; returns how long the loop may wait for the host."""
        if self.power == Power.LOADER:
            self.poll_loader()
            return 0.05
        if self.power != Power.RUNNING or self.machine is None:
            return 0.5
        behind = self._behind()
        stop = self._run_slice(behind)
        self._deliver()
        if stop == Stop.RESET:
            self.log("reset requested by the firmware")
            self.firmware_reset()
            return 0.0
        if stop in (Stop.LOCKUP, Stop.BREAKPOINT):
            self._crash(stop)
            return 0.5
        if self._idle or stop == Stop.SLEEP:
            return IDLE_SECONDS
        return max(0.0, -self._behind()) if self.realtime else 0.0

    def _behind(self) -> float:
        """Seconds of simulated time that real time is ahead."""
        assert self.machine is not None
        now = time.monotonic()
        simulated = self.clock.seconds(self.machine.core.cycles)
        if self._anchor is None:
            self._anchor = (now, simulated)
        behind = (now - self._anchor[0]) - (simulated - self._anchor[1])
        if behind > LARGEST_LAG_SECONDS or (behind < -SLICE_SECONDS and not self.realtime):
            self._anchor = (now, simulated)
            return SLICE_SECONDS
        return behind

    def _run_slice(self, behind: float) -> Stop:
        assert self.machine is not None
        if self._idle:
            seconds = max(behind, 0.0)
        else:
            seconds = min(max(behind, 0.0), SLICE_SECONDS) if self.realtime else SLICE_SECONDS
        cycles = int(seconds * self.clock.hz)
        if cycles <= 0:
            return Stop.DEADLINE
        stop = self.machine.run(cycles=self._until_event(cycles))
        self.machine.core.stop_request = 0
        if stop == Stop.SLEEP:
            self._sleep(cycles)
        return stop

    def _until_event(self, cycles: int) -> int:
        """Not past a frame's end that may raise an interrupt."""
        assert self.machine is not None
        event = self.uart.next_event()
        if event is None or not self.uart.interrupts:
            return cycles
        return min(cycles, max(event - self.now(), 1))

    def _sleep(self, cycles: int) -> None:
        """WFI: nothing happens until the next interrupt can."""
        assert self.machine is not None
        core = self.machine.core
        wake = [core.cycles + cycles]
        if core.systick_control & 2:
            wake.append(core.systick_due)
        event = self.uart.next_event()
        if event is not None:
            wake.append(event)
        core.cycles = max(core.cycles, min(wake))
        self.uart.advance()

    def _deliver(self) -> None:
        sent = self.uart.take_sent()
        if sent and self.port:
            self.port.write(sent)

    def _crash(self, stop: Stop) -> None:
        assert self.machine is not None
        core = self.machine.core
        self.power = Power.CRASHED
        what = "breakpoint" if stop == Stop.BREAKPOINT else "lockup: a fault within a fault handler"
        where = self.machine.register(15) if stop == Stop.BREAKPOINT else core.fault_pc
        self.reason = f"{what} at {where:#010x}"
        print(f"crashed: {self.reason}", file=sys.stderr, flush=True)

    @property
    def _idle(self) -> bool:
        """The firmware does nothing but wait for the host."""
        return bool(self.machine and self.machine.core.idle and self.uart.quiet)

    def _catch_up(self) -> None:
        """After an idle wait simulated time lags: let it pass before anything new happens."""
        if self.power == Power.RUNNING and self._idle:
            self._step()

    def _wait(self, timeout: float) -> None:
        watched: list[Any] = [self._wake_up, *self.control.sockets]
        if self.port:
            watched.append(self.port)
        happened = select.select(watched, [], [], timeout)[0]
        if happened:
            self._catch_up()
        for ready in happened:
            if ready is self._wake_up:
                self._wake_up.recv(64)
            elif ready is self.port:
                content = self.port.read()
                if self.power == Power.LOADER:
                    self.serve_loader(content)
                elif self.power == Power.RUNNING:
                    self.uart.put_on_line(content)
            elif ready in self.control.sockets:  # not hung up meanwhile
                self.control.serve(ready)

    # ---- control ----

    def command(self, words: list[str]) -> dict[str, Any]:
        """Answer one line of the control socket.

        Raises:
            ValueError: an unknown command.
        """
        commands: dict[tuple[str, ...], Callable[[], None]] = {
            ("reset",): self.start,
            ("power", "off"): self._power_off,
            ("power", "on"): self.start,
            ("quit",): self._quit,
        }
        if not words:
            raise ValueError("empty command")
        if words == ["status"]:
            return self.status()
        action = commands.get(tuple(words))
        if action is None:
            return self.chip_command(words)
        action()
        return {"ok": True}

    def _power_off(self) -> None:
        self.power = Power.OFF

    def _quit(self) -> None:
        self.finished = True

    def status(self) -> dict[str, Any]:
        """What `status` answers; docs/SIMULATOR_ARM.md describes the fields."""
        answer: dict[str, Any] = {
            "board": self.name,
            "simulated": True,
            "state": self.power,
            "running": self.power == Power.RUNNING,
            "reason": self.reason,
            "resets": self.resets,
            "pace": "realtime" if self.realtime else "free",
            "port": self.port.name if self.port else None,
        }
        if self.machine:
            core = self.machine.core
            top = int.from_bytes(self.machine.read(core.vtor, 4), "little")
            answer |= {
                "cycles": core.cycles,
                "instructions": core.instructions,
                "clock_hz": self.clock.hz,
                "pc": self.machine.register(15),
                "sp": self.machine.register(13),
                "sp_min": core.lowest_sp,
                "stack": max(0, top - core.lowest_sp),
                "faults": core.faults,
                "systicks": core.taken[15],
                "overruns": self.uart.overruns,
                "flash_stalls": sum(self.machine.flash_stalls()),
            }
            if core.faults:
                kind = f"HardFault at {core.fault_pc:#010x}, address {core.fault_address:#010x}"
                answer["reason"] = self.reason or kind
        return answer

    # ---- what the UART asks of the machine ----

    def now(self) -> int:
        """The current cycle."""
        return int(self.machine.core.cycles) if self.machine else 0

    def watch(self, address: int, value: int, until: int | None) -> None:
        """A register reads this value up to a cycle, or until `end_watch`."""
        if self.machine:
            self.machine.watch(address, value, until)

    def end_watch(self) -> None:
        """The watched register may have changed."""
        if self.machine:
            self.machine.end_watch()
