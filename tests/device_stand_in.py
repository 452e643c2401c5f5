"""The device's side of docs/PROTOCOL.md in Python, behind a PTY, with faults on request."""

from __future__ import annotations

import os
import select
import termios
import threading
import tty
from collections.abc import Callable

import numpy as np

from miniml.hil.link.codec import MAX_LINE, Answer, crc16, encode_answer, unpack
from miniml.model import Int8Array, QuantizedModel
from miniml.reference import quantize_inputs, run_layers

MODEL_ID, BUILD_ID = "11" * 32, "22" * 32
# Gets the number of the answer (from 0) and its line; returns what is sent instead.
Fault = Callable[[int, bytes], bytes]


class DeviceStandIn:
    """A board named BENCH in a thread; `port` is its PTY until `unplug` or `close`."""

    def __init__(
        self,
        model: QuantizedModel | None = None,
        *,
        fault: Fault = lambda number, line: line,
        name: str = "BENCH",
        model_id: str = MODEL_ID,
        build_id: str = BUILD_ID,
        version: int = 2,
    ) -> None:
        self.model, self.fault, self.name = model, fault, name
        self.model_id, self.build_id, self.version = model_id, build_id, version
        self.requests: list[str] = []
        self.executed: list[str] = []
        self.count: Callable[[], int] = lambda: 1000
        self.inputs = np.zeros(model.n_inputs if model else 4, np.int8)
        self._greeted, self._answers, self._layer = False, 0, 0
        self._last: tuple[bytes, bytes] = (b"", b"")
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)
        self.port = os.ttyname(self._slave)
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; the port is gone."""
        if self._stop >= 0:
            os.close(self._stop)
            self._stop = -1
            if threading.current_thread() is not self._thread:
                self._thread.join(5)

    def unplug(self) -> None:
        """To be called from a fault: the port vanishes at once."""
        self.close()

    def reset(self) -> None:
        """As a brown-out: the device wants HELLO again."""
        self._greeted = False

    def send(self, data: bytes) -> None:
        """Bytes that nobody asked for."""
        os.write(self._master, data)

    def _serve(self) -> None:
        pending = b""
        while self._stop >= 0:
            if self._wake in select.select([self._master, self._wake], [], [])[0]:
                break
            pending += os.read(self._master, 4096)
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                self._receive(line[max(line.rfind(b"?"), 0) :])
        for descriptor in (self._slave, self._master, self._wake):
            os.close(descriptor)

    def _receive(self, line: bytes) -> None:
        if not line.startswith(b"?"):
            return
        self.requests.append(line.decode("ascii"))
        if len(line) + 1 > MAX_LINE or line[-4:] != b"%04X" % crc16(line[1:-5]):
            answer = encode_answer(Answer(0xFF, False, ("CRC",)))
            self._last = (b"", b"")
        elif line == self._last[0]:
            answer = self._last[1]
        else:
            words = line[4:-5].decode("ascii").split(" ")
            self.executed.append(words[0])
            ok, result = self._execute(words)
            answer = encode_answer(Answer(int(line[1:3], 16), ok, tuple(result)))
            self._last = (line, answer)
        number, self._answers = self._answers, self._answers + 1
        changed = self.fault(number, answer)
        if changed and self._stop >= 0:
            os.write(self._master, changed)

    def _layers(self) -> list[Int8Array]:
        assert self.model is not None
        return [layer[0] for layer in run_layers(self.model, self.inputs[None, :])]

    def _execute(self, words: list[str]) -> tuple[bool, list[str]]:
        verb, *args = words
        if verb == "HELLO":
            self._greeted = True
            ids = [self.model_id[:16].upper(), self.build_id[:16].upper()]
            return True, [f"{self.version:X}", args[0], *ids]
        if not self._greeted:
            return False, ["HELLO"]
        if verb == "ECHO":
            return True, args
        if verb == "INFO":
            return True, self._info(args)
        if verb in ("PUT", "ROW"):
            values = np.frombuffer(unpack(args[1]), np.int8)
            self.inputs[int(args[0], 16) : int(args[0], 16) + len(values)] = values
            return self._execute(["RUN", "00"]) if verb == "ROW" else (True, [])
        if verb == "FLOAT":
            assert self.model is not None
            first, data = int(args[0], 16), np.frombuffer(unpack(args[1]), "<f4")
            row = np.zeros((1, self.model.n_inputs), np.float32)
            row[0, first : first + len(data)] = data
            quantized = quantize_inputs(self.model, row)[0]
            self.inputs[first : first + len(data)] = quantized[first : first + len(data)]
            return True, []
        if verb == "RUN":
            layers = self._layers()
            self._layer = int(args[0], 16) or len(layers)
            return True, [layers[self._layer - 1][:22].tobytes().hex().upper()]
        if verb == "READ":
            layer, first, count = (int(word, 16) for word in args)
            if layer not in (0, self._layer):
                return False, ["STATE"]
            source = self._layers()[layer - 1] if layer else self.inputs
            return True, [source[first : first + count].tobytes().hex().upper()]
        if verb == "TIME":
            return True, [f"{self.count() + 7 * (args[0] == '0'):08X}"]
        return False, ["VERB"]

    def _info(self, args: list[str]) -> list[str]:
        widths = self.model.widths if self.model else (4, 2)
        answers = {
            "BOARD": [self.name, "00F42400"],
            "SHAPE": [f"{widths[0]:04X}", f"{widths[-1]:04X}", f"{len(widths) - 1:02X}", "01"],
            "TOOL": ["5.4.0"],
            "SIZE": ["0123", "0456"],
        }
        return answers[args[0]] if args[0] in answers else [f"{widths[int(args[1], 16)]:04X}"]
