/* Cortex-M0+ instruction timing: Arm DDI 0484C, table 3-1, with the single-cycle
 * multiplier that the RP2040 has and zero wait states. Taken branches cost
 * 1 + refill with the parameter refill = 1. A load or store of the single-cycle I/O
 * port is one cycle shorter; core.c takes that off when it sees the address. */
#include "core.h"

enum extra { NO_EXTRA, LIST_LOW8, LIST_LOW8_AND_BIT8, REGISTER_OFFSET, WORDS, HALFWORDS };

struct row {
  uint32_t mask, value; /* of the opcode, 16-bit ones in the upper half */
  uint8_t cycles, kind, flags, extra;
};

/* The first matching row counts. Everything else is data processing: 1 cycle. */
static const struct row rows[] = {
    /* Move, add: any to PC: 2 */
    {0xFF870000, 0x46870000, 1, KIND_BRANCH, 0, NO_EXTRA},
    {0xFF870000, 0x44870000, 1, KIND_BRANCH, 0, NO_EXTRA},
    /* Move, add: any to SP */
    {0xFF870000, 0x46850000, 1, KIND_PLAIN, FLAG_SP, NO_EXTRA},
    {0xFF870000, 0x44850000, 1, KIND_PLAIN, FLAG_SP, NO_EXTRA},
    /* Branch: BX 2, BLX 2 */
    {0xFF000000, 0x47000000, 1, KIND_BRANCH, 0, NO_EXTRA},
    /* Load: LDR of a literal 2 */
    {0xF8000000, 0x48000000, 2, KIND_PLAIN, 0, NO_EXTRA},
    /* Load and store with register offset, immediate offset, SP: 2 */
    {0xF0000000, 0x50000000, 2, KIND_PLAIN, FLAG_ALIGNED, REGISTER_OFFSET},
    {0xF0000000, 0x60000000, 2, KIND_PLAIN, FLAG_ALIGNED, WORDS},
    {0xF0000000, 0x70000000, 2, KIND_PLAIN, 0, NO_EXTRA},
    {0xF0000000, 0x80000000, 2, KIND_PLAIN, FLAG_ALIGNED, HALFWORDS},
    {0xF0000000, 0x90000000, 2, KIND_PLAIN, 0, NO_EXTRA},
    /* Add, subtract: ADD SP, SUB SP 1 */
    {0xFF000000, 0xB0000000, 1, KIND_PLAIN, FLAG_SP, NO_EXTRA},
    /* Push 1 + N */
    {0xFE000000, 0xB4000000, 1, KIND_PLAIN, FLAG_SP, LIST_LOW8_AND_BIT8},
    /* Pop and return 3 + N, PC counted in N; pop 1 + N */
    {0xFF000000, 0xBD000000, 2, KIND_BRANCH, FLAG_SP, LIST_LOW8_AND_BIT8},
    {0xFF000000, 0xBC000000, 1, KIND_PLAIN, FLAG_SP, LIST_LOW8_AND_BIT8},
    /* State change: CPS 1 */
    {0xFFE00000, 0xB6600000, 1, KIND_MASK, 0, NO_EXTRA},
    /* Hint: YIELD 1, WFE 2, WFI 2, SEV 1 */
    {0xFFFF0000, 0xBF100000, 1, KIND_YIELD, 0, NO_EXTRA},
    {0xFFFF0000, 0xBF200000, 2, KIND_WAIT_EVENT, 0, NO_EXTRA},
    {0xFFFF0000, 0xBF300000, 2, KIND_PLAIN, 0, NO_EXTRA},
    {0xFFFF0000, 0xBF400000, 1, KIND_SEND_EVENT, 0, NO_EXTRA},
    /* Load and store multiple 1 + N */
    {0xF0000000, 0xC0000000, 1, KIND_PLAIN, FLAG_ALIGNED, LIST_LOW8},
    /* Supervisor call: no count; the entry is charged as an exception */
    {0xFF000000, 0xDF000000, 1, KIND_PLAIN, 0, NO_EXTRA},
    /* Branch: conditional 1 or 2, unconditional 2 */
    {0xF0000000, 0xD0000000, 1, KIND_BRANCH_COND, 0, NO_EXTRA},
    {0xF8000000, 0xE0000000, 1, KIND_BRANCH, 0, NO_EXTRA},
    /* Branch with link BL 3 */
    {0xF800D000, 0xF000D000, 2, KIND_BRANCH, 0, NO_EXTRA},
    /* State change: MSR 3, MRS 3; barriers 3 */
    {0xFFE0D000, 0xF3808000, 3, KIND_MASK, FLAG_SP, NO_EXTRA},
    {0xFFFFD000, 0xF3EF8000, 3, KIND_PLAIN, 0, NO_EXTRA},
    {0xFFF0D000, 0xF3B08000, 3, KIND_PLAIN, 0, NO_EXTRA},
};

/* STR, STRH, STRB, LDRSB, LDR, LDRH, LDRB, LDRSH by bits 11:9 */
static const uint8_t register_offset_bytes[8] = {4, 2, 0, 0, 4, 2, 0, 2};

static void add_operands(enum extra extra, uint32_t op, struct timing *timing) {
  timing->index = NO_REGISTER;
  timing->base = op >> 3 & 7;
  switch (extra) {
  case LIST_LOW8:
    timing->cycles += __builtin_popcount(op & 0xFF);
    timing->base = op >> 8 & 7;
    timing->access_bytes = 4;
    break;
  case LIST_LOW8_AND_BIT8: /* SP is always aligned */
    timing->cycles += __builtin_popcount(op & 0x1FF);
    break;
  case REGISTER_OFFSET:
    timing->access_bytes = register_offset_bytes[op >> 9 & 7];
    timing->index = op >> 6 & 7;
    break;
  case WORDS: /* offsets are in units of the access */
    timing->access_bytes = 4;
    break;
  case HALFWORDS:
    timing->access_bytes = 2;
    break;
  default:
    break;
  }
}

void decode_m0plus(const struct parameters *parameters, uint32_t opcode, bool wide,
                   struct timing *timing) {
  (void)parameters;
  (void)wide;
  for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct row *row = &rows[i];
    if ((opcode & row->mask) != row->value)
      continue;
    timing->cycles = row->cycles;
    timing->kind = row->kind;
    timing->flags = row->flags;
    add_operands(row->extra, opcode >> 16, timing);
    return;
  }
}
