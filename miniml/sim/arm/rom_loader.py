"""The STM32's ROM boot loader on its serial port (ST AN3155, AN2606 for the F405).

Bytes go in, bytes come out; `go` holds the address once the host asked for a start. The
line is not paced: a PTY has no rate, and waiting would teach nothing.
"""

from __future__ import annotations

from collections.abc import Generator

from miniml.sim.arm.memory import Memory

ACK, NACK, SYNC = 0x79, 0x1F, 0x7F
VERSION = 0x31
CHIP_ID = 0x413  # STM32F405/407, AN2606
GET, GET_VERSION, GET_ID, READ, GO, WRITE, ERASE_EXTENDED = 0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x44
WRITE_UNPROTECT, READ_UNPROTECT = 0x73, 0x92
COMMANDS = (GET, GET_VERSION, GET_ID, READ, GO, WRITE, ERASE_EXTENDED, 0x63, 0x73, 0x82, 0x92)
# RM0090, table 5: 4 x 16 KB, 64 KB, 7 x 128 KB
SECTORS = [16 << 10] * 4 + [64 << 10] + [128 << 10] * 7
MASS_ERASE = 0xFFFF

Steps = Generator[bytes, int, None]


class RomLoader:
    """The loader's side of one session, from the 0x7F that sets the rate to Go.

    Args:
        flash: what Write and Erase change.
        memories: what Read and Go may name (flash included).
    """

    def __init__(self, flash: Memory, memories: list[Memory]) -> None:
        """Wait for the host's first 0x7F."""
        self._flash = flash
        self._memories = memories
        self.go: int | None = None
        self.changed = False
        self._steps = self._session()
        next(self._steps)

    def feed(self, content: bytes) -> bytes:
        """Take bytes from the host, return the answer."""
        return b"".join(self._steps.send(byte) for byte in content)

    # Each step yields what it answers to the byte it got last and receives the next one.

    def _session(self) -> Steps:
        byte = yield b""
        while byte != SYNC:
            byte = yield b""
        answer = bytes([ACK])
        while True:
            command = yield answer
            if command == SYNC:
                # Already synchronised: the loader takes it as a command's first byte.
                answer = bytes([NACK])
                continue
            complement = yield b""
            if command ^ complement != 0xFF or command not in COMMANDS:
                answer = bytes([NACK])
                continue
            answer = yield from self._execute(command)

    def _execute(self, command: int) -> Generator[bytes, int, bytes]:
        ack = bytes([ACK])
        if command == GET:
            return ack + bytes([len(COMMANDS), VERSION, *COMMANDS, ACK])
        if command == GET_VERSION:
            return ack + bytes([VERSION, 0, 0, ACK])
        if command == GET_ID:
            return ack + bytes([1, CHIP_ID >> 8, CHIP_ID & 0xFF, ACK])
        if command == READ:
            return (yield from self._read())
        if command == WRITE:
            return (yield from self._write())
        if command == GO:
            return (yield from self._go())
        if command == ERASE_EXTENDED:
            return (yield from self._erase())
        if command in (WRITE_UNPROTECT, READ_UNPROTECT):
            return ack + ack
        return bytes([NACK])  # protecting the flash would make the board unusable

    def _address(self) -> Generator[bytes, int, tuple[Memory, int, int] | None]:
        """ACK, then four bytes and their checksum: (memory, offset, address)."""
        content = [(yield bytes([ACK]))]
        for _ in range(4):
            content.append((yield b""))
        address = int.from_bytes(bytes(content[:4]), "big")
        checksum = content[0] ^ content[1] ^ content[2] ^ content[3]
        if checksum != content[4]:
            return None
        for memory in self._memories:
            base = memory.addresses[0]
            if base <= address < base + memory.size:
                return memory, address - base, address
        return None

    def _read(self) -> Generator[bytes, int, bytes]:
        place = yield from self._address()
        if place is None:
            return bytes([NACK])
        count = yield bytes([ACK])
        complement = yield b""
        memory, offset, _ = place
        if count ^ complement != 0xFF or offset + count + 1 > memory.size:
            return bytes([NACK])
        return bytes([ACK]) + bytes(memory.content[offset : offset + count + 1])

    def _write(self) -> Generator[bytes, int, bytes]:
        place = yield from self._address()
        if place is None:
            return bytes([NACK])
        count = yield bytes([ACK])
        content = bytearray()
        for _ in range(count + 1):
            content.append((yield b""))
        checksum = yield b""
        for byte in [count, *content]:
            checksum ^= byte
        memory, offset, _ = place
        if checksum or offset + len(content) > memory.size or offset % 4:
            return bytes([NACK])
        if memory is self._flash:
            # Programming clears bits; only an erase sets them (RM0090, 3.6).
            old = memory.content[offset : offset + len(content)]
            content = bytearray(a & b for a, b in zip(old, content, strict=True))
            self.changed = True
        memory.load(bytes(content), offset)
        return bytes([ACK])

    def _go(self) -> Generator[bytes, int, bytes]:
        place = yield from self._address()
        if place is None:
            return bytes([NACK])
        self.go = place[2]
        return bytes([ACK])

    def _erase(self) -> Generator[bytes, int, bytes]:
        content = [(yield bytes([ACK])), (yield b"")]
        count = content[0] << 8 | content[1]
        sectors = list(range(len(SECTORS)))
        if count < 0xFFF0:
            sectors = []
            for _ in range(count + 1):
                content += [(yield b""), (yield b"")]
                sectors.append(content[-2] << 8 | content[-1])
        checksum = yield b""
        for byte in content:
            checksum ^= byte
        if checksum or any(sector >= len(SECTORS) for sector in sectors):
            return bytes([NACK])
        if 0xFFF0 <= count != MASS_ERASE:
            return bytes([NACK])  # bank erase: the F405 has one bank
        for sector in sectors:
            begin = sum(SECTORS[:sector])
            self._flash.load(b"\xff" * SECTORS[sector], begin)
        self.changed = True
        return bytes([ACK])
