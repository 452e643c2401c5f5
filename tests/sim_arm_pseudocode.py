"""Integer instructions executed by the pseudocode of the architecture manual (DDI 0403E).

Written from the manual's operation sections alone, as an oracle that shares nothing with
unicorn or QEMU. Registers are 13 unsigned words; flags are N, Z, C, V, Q and GE.
"""

from __future__ import annotations

from dataclasses import dataclass

WORD = 0xFFFF_FFFF


def signed(value: int, bits: int = 32) -> int:
    """Two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


@dataclass
class State:
    """What an instruction reads and writes."""

    r: list[int]
    n: int
    z: int
    c: int
    v: int
    q: int
    ge: int

    @classmethod
    def of(cls, registers: tuple[int, ...], apsr: int) -> State:
        n, z, c, v, q = (apsr >> shift & 1 for shift in (31, 30, 29, 28, 27))
        return cls(list(registers), n, z, c, v, q, apsr >> 16 & 15)

    @property
    def apsr(self) -> int:
        flags = self.n << 31 | self.z << 30 | self.c << 29 | self.v << 28 | self.q << 27
        return flags | self.ge << 16

    def set_nz(self, result: int) -> None:
        self.n, self.z = result >> 31 & 1, int(result & WORD == 0)

    def saturate(self, value: int, low: int, high: int) -> int:
        """SignedSatQ, UnsignedSatQ with the Q flag."""
        if not low <= value <= high:
            self.q = 1
        return min(max(value, low), high)


def add_with_carry(x: int, y: int, carry: int) -> tuple[int, int, int]:
    """A2.2.1: result, carry out, overflow."""
    total = (x & WORD) + (y & WORD) + carry
    result = total & WORD
    return result, int(total > WORD), int(signed(result) != signed(x) + signed(y) + carry)


def shift_c(value: int, kind: int, amount: int, carry: int) -> tuple[int, int]:
    """A2.2.1 Shift_C for LSL, LSR, ASR, ROR (0 to 3); RRX is kind 4."""
    if kind == 4:
        return carry << 31 | value >> 1, value & 1
    if amount == 0:
        return value, carry
    if kind == 0:
        wide = value << min(amount, 33)
        return wide & WORD, wide >> 32 & 1
    if kind == 3:
        amount %= 32
        result = (value >> amount | value << 32 - amount) & WORD if amount else value
        return result, result >> 31
    source = value if kind == 1 else signed(value)
    shifted = source >> min(amount, 33) - 1
    return shifted >> 1 & WORD, shifted & 1


def decode_imm_shift(kind: int, amount: int) -> tuple[int, int]:
    """A7.4.2."""
    if kind in (1, 2) and amount == 0:
        return kind, 32
    if kind == 3 and amount == 0:
        return 4, 1
    return kind, amount


def expand_immediate(imm12: int, carry: int) -> tuple[int, int]:
    """A5.3.2 ThumbExpandImm_C."""
    byte = imm12 & 0xFF
    if imm12 >> 10 == 0:
        return [byte, byte * 0x0001_0001, byte * 0x0100_0100, byte * 0x0101_0101][
            imm12 >> 8 & 3
        ], carry
    return shift_c(0x80 | imm12 & 0x7F, 3, imm12 >> 7, carry)


def data_processing(s: State, op: int, n: int, operand: int, carry: int) -> int | None:
    """The ALU operations in the numbering of A5.3.1, with flags; None for compares.

    The caller restores the flags of a non-flag-setting form.
    """
    logical = {
        0: n & operand,
        1: n & ~operand,
        2: n | operand,
        3: n | ~operand,
        4: n ^ operand,
    }
    if op in logical:
        result = logical[op] & WORD
        s.set_nz(result)
        s.c = carry
        return result
    first, second, carry_in = {
        8: (n, operand, 0),
        10: (n, operand, s.c),
        11: (n, ~operand, s.c),
        13: (n, ~operand, 1),
        14: (~n, operand, 1),
    }[op]
    result, s.c, s.v = add_with_carry(first & WORD, second & WORD, carry_in)
    s.set_nz(result)
    return result


def narrow(s: State, op: int) -> None:
    """A5.2: 16-bit data processing."""
    r, low, mid = s.r, op & 7, op >> 3 & 7
    if op < 0x1800:
        kind, amount = decode_imm_shift(op >> 11, op >> 6 & 31)
        r[low], s.c = shift_c(r[mid], kind, amount, s.c)
        s.set_nz(r[low])
    elif op < 0x2000:
        operand = op >> 6 & 7 if op & 0x400 else r[op >> 6 & 7]
        result = data_processing(s, 13 if op & 0x200 else 8, r[mid], operand, 0)
        r[low] = result or 0
    elif op < 0x4000:
        target, value, kind = op >> 8 & 7, op & 0xFF, op >> 11 & 3
        if kind == 0:
            r[target] = value
            s.set_nz(value)
        else:
            result = data_processing(s, {1: 13, 2: 8, 3: 13}[kind], r[target], value, 0)
            if kind != 1:
                r[target] = result or 0
    elif op < 0x4400:
        narrow_register(s, op >> 6 & 15, low, r[mid])
    elif op < 0x4700:
        target, source = low | op >> 4 & 8, r[op >> 3 & 15]
        if op >> 8 == 0x44:
            r[target] = r[target] + source & WORD
        elif op >> 8 == 0x45:
            data_processing(s, 13, r[target], source, 0)
        else:
            r[target] = source
    elif op >> 8 == 0xB2:
        bits = 8 if op & 0x40 else 16
        value = r[mid] & (1 << bits) - 1
        r[low] = value if op & 0x80 else signed(value, bits) & WORD
    else:
        r[low] = reverse(r[mid], op >> 6 & 3)


def narrow_register(s: State, op: int, d: int, m: int) -> None:
    """A5.2.2."""
    r = s.r
    if op in (2, 3, 4, 7):
        kind = {2: 0, 3: 1, 4: 2, 7: 3}[op]
        r[d], s.c = shift_c(r[d], kind, m & 0xFF, s.c)
        s.set_nz(r[d])
    elif op == 9:  # RSB #0
        r[d] = data_processing(s, 14, m, 0, 0) or 0
    elif op == 13:
        r[d] = r[d] * m & WORD
        s.set_nz(r[d])
    elif op == 15:
        r[d] = ~m & WORD
        s.set_nz(r[d])
    else:
        code = {0: 0, 1: 4, 5: 10, 6: 11, 8: 0, 10: 13, 11: 8, 12: 2, 14: 1}[op]
        result = data_processing(s, code, r[d], m, s.c)
        if op not in (8, 10, 11):
            r[d] = result or 0


def reverse(value: int, kind: int) -> int:
    """REV, REV16, RBIT, REVSH (0 to 3)."""
    b = value.to_bytes(4, "little")
    if kind == 0:
        return int.from_bytes(b, "big")
    if kind == 1:
        return int.from_bytes(bytes([b[1], b[0], b[3], b[2]]), "little")
    if kind == 2:
        return int(f"{value:032b}"[::-1], 2)
    return signed(b[0] << 8 | b[1], 16) & WORD


def wide_data_processing(s: State, w: int) -> None:
    """A5.3.1 and A5.3.11: modified immediates and shifted registers."""
    op, n, d = w >> 21 & 15, w >> 16 & 15, w >> 8 & 15
    imm = w >> 12 & 7
    if w >> 25 == 0x75:  # 1110 101: shifted register
        kind, amount = decode_imm_shift(w >> 4 & 3, imm << 2 | w >> 6 & 3)
        if op == 6:
            operand, _ = shift_c(s.r[w & 15], kind if w & 0x20 else 0, amount, s.c)
            top, bottom = (s.r[n], operand) if w & 0x20 else (operand, s.r[n])
            s.r[d] = top & 0xFFFF_0000 | bottom & 0xFFFF
            return
        operand, carry = shift_c(s.r[w & 15], kind, amount, s.c)
    else:
        operand, carry = expand_immediate((w >> 26 & 1) << 11 | imm << 8 | w & 0xFF, s.c)
    first = 0 if n == 15 else s.r[n]
    before = (s.n, s.z, s.c, s.v)
    result = data_processing(s, op, first, operand, carry)
    if not w >> 20 & 1:
        s.n, s.z, s.c, s.v = before
    if d != 15:
        s.r[d] = result or 0


def plain_immediate(s: State, w: int) -> None:
    """A5.3.3: ADDW, SUBW, MOVW, MOVT, saturation and bit fields."""
    op, n, d = w >> 20 & 31, w >> 16 & 15, w >> 8 & 15
    imm12 = (w >> 26 & 1) << 11 | (w >> 12 & 7) << 8 | w & 0xFF
    lsb, width = w >> 10 & 0x1C | w >> 6 & 3, w & 31
    r = s.r
    if op in (0, 10):
        r[d] = r[n] + (imm12 if op == 0 else -imm12) & WORD
    elif op in (4, 12):
        imm16 = n << 12 | imm12
        r[d] = imm16 if op == 4 else imm16 << 16 | r[d] & 0xFFFF
    elif op in (18, 26) and lsb == 0:  # SSAT16, USAT16
        low, high = bounds(op == 26, width & 15)
        halves = [s.saturate(signed(r[n] >> shift, 16), low, high) for shift in (0, 16)]
        r[d] = halves[0] & 0xFFFF | (halves[1] & 0xFFFF) << 16
    elif op in (16, 18, 24, 26):  # SSAT, USAT
        kind, amount = decode_imm_shift(op & 2, lsb)
        operand, _ = shift_c(r[n], kind, amount, s.c)
        r[d] = s.saturate(signed(operand), *bounds(op >= 24, width)) & WORD
    elif op == 22:
        mask = (1 << width + 1) - (1 << lsb)
        r[d] = r[d] & ~mask | r[n] << lsb & mask
    else:  # SBFX 20, UBFX 28
        value = r[n] >> lsb & (1 << width + 1) - 1
        r[d] = value if op == 28 else signed(value, width + 1) & WORD


def bounds(unsigned: bool, field: int) -> tuple[int, int]:
    """The range that a saturation field names: SSAT to field + 1 bits, USAT to field bits."""
    return (0, (1 << field) - 1) if unsigned else (-(1 << field), (1 << field) - 1)
