"""The DSP, multiply and divide instructions by the pseudocode of DDI 0403E, chapter A7."""

from __future__ import annotations

from sim_arm_pseudocode import WORD, State, reverse, shift_c, signed


def halves(value: int) -> tuple[int, int]:
    """Signed bottom and top halfword."""
    return signed(value, 16), signed(value >> 16, 16)


def register_operations(s: State, w: int) -> None:
    """A5.3.12 to A5.3.15: shifts, extends, parallel additions, miscellaneous."""
    op1, op2, n, d, m = w >> 20 & 15, w >> 4 & 15, w >> 16 & 15, w >> 8 & 15, w & 15
    r = s.r
    if op1 < 8 and op2 == 0:
        before = s.c
        r[d], carry = shift_c(r[n], op1 >> 1, r[m] & 0xFF, s.c)
        if op1 & 1:
            s.set_nz(r[d])
            s.c = carry
        else:
            s.c = before
    elif op1 < 8:
        r[d] = extend(op1, 0 if n == 15 else r[n], r[m], op2 & 3)
    elif op2 < 8:
        r[d] = parallel(s, op1 & 7, op2, r[n], r[m])
    elif op1 == 8:
        doubled = signed(r[n])
        if op2 & 1:
            doubled = s.saturate(2 * doubled, -(1 << 31), (1 << 31) - 1)
        total = signed(r[m]) + (-doubled if op2 & 2 else doubled)
        r[d] = s.saturate(total, -(1 << 31), (1 << 31) - 1) & WORD
    elif op1 == 9:
        r[d] = reverse(r[m], op2 & 3)
    elif op1 == 10:
        lanes = [(r[n] if s.ge >> i & 1 else r[m]) >> 8 * i & 0xFF for i in range(4)]
        r[d] = int.from_bytes(bytes(lanes), "little")
    else:
        r[d] = 32 - r[m].bit_length()


def extend(op: int, addend: int, value: int, rotation: int) -> int:
    """SXTAH, UXTAH, SXTAB16, UXTAB16, SXTAB, UXTAB (0 to 5)."""
    rotated, _ = shift_c(value, 3, 8 * rotation, 0)
    unsigned = op & 1
    if op in (2, 3):
        result = 0
        for shift in (0, 16):
            byte = rotated >> shift & 0xFF
            lane = (addend >> shift) + (byte if unsigned else signed(byte, 8))
            result |= (lane & 0xFFFF) << shift
        return result
    bits = 16 if op < 2 else 8
    part = rotated & (1 << bits) - 1
    return addend + (part if unsigned else signed(part, bits)) & WORD


def parallel(s: State, op: int, kind: int, n: int, m: int) -> int:
    """A5.3.13, A5.3.14: signed 0, saturating 1, halving 2; +4 unsigned."""
    bits = 8 if op in (0, 4) else 16
    unsigned = kind & 4
    mask = (1 << bits) - 1

    def lanes(value: int) -> list[int]:
        parts = [value >> shift & mask for shift in range(0, 32, bits)]
        return parts if unsigned else [signed(part, bits) for part in parts]

    a, b = lanes(n), lanes(m)
    # ADD8 0, ADD16 1, ASX 2, SUB8 4, SUB16 5, SAX 6
    subtract = {0: [0] * 4, 1: [0, 0], 2: [1, 0], 4: [1] * 4, 5: [1, 1], 6: [0, 1]}[op]
    if op in (2, 6):
        b.reverse()
    results = [x - y if minus else x + y for x, y, minus in zip(a, b, subtract, strict=True)]
    if kind & 3 == 0:
        s.ge = 0
        for i, (value, minus) in enumerate(zip(results, subtract, strict=True)):
            reached = value >= (1 << bits) if unsigned and not minus else value >= 0
            if reached:
                s.ge |= (1 if bits == 8 else 3) << i * bits // 8
    elif kind & 3 == 1:
        low, high = (0, mask) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)
        results = [min(max(value, low), high) for value in results]
    else:
        results = [value >> 1 for value in results]
    return sum((value & mask) << bits * i for i, value in enumerate(results))


def multiplies(s: State, w: int) -> None:
    """A5.3.16: 32-bit results. An addend of 15 means none."""
    op1, op2 = w >> 20 & 7, w >> 4 & 3
    n, a, d, m = w >> 16 & 15, w >> 12 & 15, w >> 8 & 15, w & 15
    r = s.r
    rn, rm = r[n], r[m]
    addend = 0 if a == 15 else signed(r[a])
    if op1 == 0:
        product = rn * rm
        r[d] = addend - product & WORD if op2 else product + addend & WORD
        return
    if op1 in (5, 6):  # SMMLA, SMMUL, SMMLS
        product = signed(rn) * signed(rm)
        total = (addend << 32) + (product if op1 == 5 else -product)
        r[d] = total + (0x8000_0000 if op2 else 0) >> 32 & WORD
        return
    if op1 == 7:
        pairs = zip(rn.to_bytes(4, "little"), rm.to_bytes(4, "little"), strict=True)
        r[d] = sum(abs(x - y) for x, y in pairs) + addend & WORD
        return
    x, y = halves(rn), halves(rm)
    if op1 == 1:
        product = x[op2 >> 1] * y[op2 & 1]
    elif op1 == 3:
        product = signed(rn) * y[op2 & 1] >> 16
    else:
        y = (y[1], y[0]) if op2 else y
        product = x[0] * y[0] + (x[1] * y[1] if op1 == 2 else -x[1] * y[1])
    total = product + addend
    # No overflow is possible, and Q stays, in SMULxy, SMULWy and SMUSD.
    if signed(total) != total:
        s.q = 1
    r[d] = total & WORD


def long_multiplies(s: State, w: int) -> None:
    """A5.3.17: 64-bit results and divisions."""
    op1, op2 = w >> 20 & 7, w >> 4 & 15
    n, low, high, m = w >> 16 & 15, w >> 12 & 15, w >> 8 & 15, w & 15
    r = s.r
    rn, rm = r[n], r[m]
    if op2 == 15:  # SDIV 1, UDIV 3; division by zero gives 0
        above, below = (signed(rn), signed(rm)) if op1 == 1 else (rn, rm)
        quotient = 0 if below == 0 else abs(above) // abs(below)
        r[high] = (quotient if (above < 0) == (below < 0) else -quotient) & WORD
        return
    before = r[high] << 32 | r[low]
    x, y = halves(rn), halves(rm)
    if op1 in (0, 2):
        total = signed(rn) * signed(rm) if op1 == 0 else rn * rm
    elif op1 == 6:
        total = before + rn * rm if op2 == 0 else rn * rm + r[high] + r[low]
    elif op2 == 0:
        total = before + signed(rn) * signed(rm)
    elif op2 & 12 == 8:
        total = before + x[op2 >> 1 & 1] * y[op2 & 1]
    else:
        y = (y[1], y[0]) if op2 & 1 else y
        total = before + x[0] * y[0] + (x[1] * y[1] if op1 == 4 else -x[1] * y[1])
    r[low], r[high] = total & WORD, total >> 32 & WORD
