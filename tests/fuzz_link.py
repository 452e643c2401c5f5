"""What is fuzzed of the link: the firmware's C with a judge around it, and the host's session.

Random bytes seldom have a right CRC. So both targets read the byte 0x01 as "the right CRC of this
line, and its end"; the rest of the input goes through as it is.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from unittest.mock import patch

from host_program import KERNEL, LINK
from link_program import BUILD_ID, DEVICE, link_model

from miniml.adapters import int8
from miniml.errors import BoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.link import session
from miniml.hil.link.codec import MAX_LINE, crc16, pack
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.row_stream import run_rows
from miniml.hil.proof.identity import stack_use, who_is_there

FINISH = b"\x01"
LOG = BoardLog("fuzz")
CASES = Path(__file__).parent / "link_cases"

# The entry that libFuzzer calls; it aborts where an answer breaks the protocol.
JUDGE = r"""
#include <stdlib.h>
#include <string.h>

static void judge(const miniml_link_line *line) {
  const uint8_t n = line->length;
  if (n < 12 || n > MINIML_LINK_LINE || line->bytes[0] != '!' || line->bytes[n - 1] != '\n') {
    abort();
  }
  for (uint8_t i = 0; i < n - 1; i++) {
    if (line->bytes[i] < ' ' || line->bytes[i] > '~') {
      abort();
    }
  }
  char crc[6];
  snprintf(crc, sizeof crc, "*%04X", miniml_link_crc(line->bytes + 1, (uint8_t)(n - 7)));
  if (memcmp(crc, line->bytes + n - 6, 5) != 0) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  /* Between guards on the heap, so that an access outside of it is seen. */
  miniml_link *const link = malloc(sizeof *link);
  if (!link) {
    abort();
  }
  miniml_link_start(link, &config);
  char body[MINIML_LINK_LINE + 1];
  uint8_t length = 0;
  for (size_t i = 0; i < size; i++) {
    char text[8] = {(char)data[i], 0};
    if (data[i] == 1) {
      snprintf(text, sizeof text, "*%04X\n", miniml_link_crc(body, length));
    } else if (data[i] == '?') {
      length = 0;
    } else if (length < sizeof body) {
      body[length++] = (char)data[i];
    }
    size_t sent = 0;
    do {
      const miniml_link_line *line = miniml_link_receive(link, text[sent++]);
      if (line) {
        judge(line);
      }
    } while (sent < sizeof text && text[sent]);
  }
  free(link);
  return 0;
}
"""

# Runs the files that it is given, for machines without libFuzzer.
DRIVER = r"""
int main(int count, char **names) {
  for (int i = 1; i < count; i++) {
    static uint8_t data[1 << 16];
    FILE *file = fopen(names[i], "rb");
    if (!file) {
      return 1;
    }
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
  }
  return 0;
}
"""


def device_program(folder: Path, command: Sequence[str], *, driver: bool) -> Path:
    """The link's C and the judge, compiled by `command` (a compiler and its flags)."""
    text = (DEVICE + JUDGE + (DRIVER if driver else "")).replace("BUILD_ID_HERE", BUILD_ID)
    (folder / "random_model.h").write_text(int8.generate(link_model(), "nothing"))
    (folder / "main.c").write_text(text)
    program = folder / "fuzz_device"
    sources = [*KERNEL.glob("*.c"), LINK / "miniml_link.c", LINK / "miniml_link_text.c"]
    places = [f"-I{place}" for place in (folder, KERNEL, LINK)]
    words = [*command, *places, "-o", str(program), str(folder / "main.c"), *map(str, sources)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def device_seeds() -> list[bytes]:
    """Conversations that reach every verb."""
    texts = ["HELLO 0BADCAFE", "INFO BOARD", "INFO SHAPE", "INFO LAYER 02", "INFO TOOL"]
    texts += ["INFO SIZE", f"PUT 0000 {pack(bytes(range(30)))}", "RUN 00", "RUN 02"]
    texts += ["READ 02 0000 03", "READ 00 0008 16", "TIME 1", "TIME 0", "ECHO A*B?C", "RESET"]
    texts += [f"FLOAT 0002 {pack(bytes(28))}", f"ROW 0010 {pack(bytes(14))}", "", "RUN 0G"]
    lines = [b"?%02X %s" % (number, text.encode()) + FINISH for number, text in enumerate(texts)]
    greeting = lines[0]
    return [b"".join(lines), *(greeting + line for line in lines), b"?02 ECHO X*----\n"]


class Clock:
    """Time that passes only where the session waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class ScriptedPort:
    """A LinePort that says what it was given, whatever is asked."""

    url = "fuzz"

    def __init__(self, content: bytes, clock: Clock) -> None:
        self._source = io.BytesIO(content)
        self._clock = clock
        self._unanswered: list[bytes] = []

    def write(self, data: bytes) -> None:
        assert len(data) <= MAX_LINE
        assert not any(97 <= byte <= 122 for byte in data), "lower case for a bootloader"
        if data not in self._unanswered:
            self._unanswered.append(data)

    def read_line(self, deadline: float) -> bytes | None:
        line = self._source.readline()
        # 0x02: the number of the oldest request; 0x03: its nonce.
        oldest = self._unanswered[0] if self._unanswered else b""
        line = line.replace(b"\x02", oldest[1:3]).replace(b"\x03", oldest[10:18])
        begin, end = line.find(b"!"), line.find(FINISH)
        if 0 <= begin < end:
            del self._unanswered[:1]
            body = line[begin + 1 : end]
            line = line[:end] + b"*%04X\n" % crc16(body)
        if not line:
            self._clock.now = max(self._clock.now, deadline)
        return line or None

    def pending(self) -> bytes:
        return b""


def host_reads(content: bytes) -> str:
    """The whole conversation of a run with a device that says `content`: "complete", or an error.

    Raises:
        Whatever is no BoardError of one printable line.
    """
    clock = Clock()
    with patch.object(session, "time", clock):
        try:
            _whole_run(session.Session(cast(LinePort, ScriptedPort(content, clock)), LOG))
        except BoardError as error:
            text = str(error)
            assert text.isprintable(), text
            assert len(text) < 300, text
            return type(error).__name__
    return "complete"


def _whole_run(link: session.Session) -> None:
    identity = who_is_there(link, 0)
    assert len(identity.board + identity.compiler) < 2 * MAX_LINE
    assert (identity.board + identity.compiler).isprintable()
    link.ask("INFO", "SHAPE")
    link.load(bytes(40))
    assert len(link.run(1, 25)) == 25
    assert 0 <= link.time(masked=True) < 1 << 32
    outputs = list(run_rows(link, [bytes(40)] * 3, 2, 25, 1.0))
    assert [len(output) for output in outputs] == [25, 25, 25]
    stack_use(link)
    link.reset()


def host_seeds() -> list[bytes]:
    """What a device would say, and what a bad one does."""
    hello = b"!\x02 OK 2 \x03 0123456789ABCDEF 0123456789ABCDEF\x01\n"
    ok, data = b"!\x02 OK\x01\n", b"!\x02 OK " + b"00" * 22 + b"\x01\n"
    told = [b"UNO 00F42400", b"12.2.1 20221205", b"0028 0019 02 01"]
    infos = b"".join(b"!\x02 OK " + text + b"\x01\n" for text in told)
    rest = b"!\x02 OK 000000\x01\n"
    rows = (ok + data + rest) * 3
    whole = hello + infos + ok + ok + data + rest + b"!\x02 OK 00012345\x01\n" + rows
    size = b"!\x02 OK 0123 0456\x01\n"
    other = [b"!\x02 ERR HELLO\x01\n", b"!FF ERR CRC\x01\n", b"log\x1b[2J\n", b"!\x02 OK *\x01\n"]
    return [whole + size + ok, hello, *other, *(hello + infos + text * 3 for text in other)]
