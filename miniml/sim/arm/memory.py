"""Memory as the simulated core and this program both see it."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field

CODE_PAGE = 8192  # core.c's PAGE_SHIFT


@dataclass
class Memory:
    """A block of bytes at one address or, as hardware aliases, at several.

    Args:
        name: shown in errors and `status`.
        addresses: of the first byte, the main one first.
        size: bytes; a multiple of 8192.
        writable: False makes a store a bus fault (flash).
        fill: what erased or powered-up memory holds.
    """

    name: str
    addresses: Sequence[int]
    size: int
    writable: bool = True
    fill: int = 0
    content: mmap.mmap = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Reserve the bytes, aligned to a page of the host."""
        if self.size % CODE_PAGE:
            raise ValueError(f"{self.name}: size must be a multiple of {CODE_PAGE}")
        self.content = mmap.mmap(-1, self.size)
        self.clear()

    @property
    def host_address(self) -> int:
        """Where the bytes lie in this process."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self.content))

    def clear(self) -> None:
        """Back to the erased or powered-up content."""
        self.content[:] = bytes([self.fill]) * self.size

    def load(self, fresh: bytes, offset: int = 0) -> None:
        """Put bytes at an offset.

        Raises:
            ValueError: the content does not fit.
        """
        if offset < 0 or offset + len(fresh) > self.size:
            raise ValueError(f"{len(fresh)} bytes at {offset:#x} don't fit into {self.name}")
        self.content[offset : offset + len(fresh)] = fresh
