/* Cortex-M4 instruction timing with zero wait states: Arm 100166, table 3-1 (processor
 * instructions) and table 7-1 (FPU), and the pairing rules below table 3-1. P, the
 * refill of the pipeline, is a parameter. */
#include "core.h"

/* Where the operands are; what a list adds. */
enum shape {
  NONE,
  RD_0,      /* 16-bit: Rd in bits 2:0 */
  RD_8,      /* 16-bit: Rd in bits 10:8 */
  RD_HIGH,   /* 16-bit: Rd in bits 7, 2:0 */
  REG_OFF,   /* 16-bit: Rt 2:0, Rn 5:3, Rm 8:6 */
  IMM_OFF,   /* 16-bit: Rt 2:0, Rn 5:3 */
  SP_OFF,    /* 16-bit: Rt 10:8, SP */
  LIST,      /* 16-bit: bits 7:0, one cycle each */
  LIST_LINK, /* 16-bit: bits 8:0 */
  WIDE_RD,   /* 32-bit: Rd in bits 11:8 */
  WIDE_PAIR, /* 32-bit: RdLo 15:12, RdHi 11:8 */
  WIDE_LDST, /* 32-bit: Rt 15:12, Rn 19:16, Rm 3:0 in the register form */
  WIDE_LIST, /* 32-bit: bits 15:0 */
  WIDE_DOUBLE,
  IT_BLOCK,
  MAC,       /* the multiply_accumulate parameter */
  FP_THREE,  /* Sd from Sn and Sm */
  FP_ADDEND, /* Sd from Sn, Sm; Sd as addend is read a cycle later (table 7-1, note) */
  FP_TWO,    /* Sd from Sm */
  FP_TEST,   /* reads Sd and Sm */
  FP_IN,     /* writes Sn from a core register */
  FP_OUT,    /* reads Sn */
  FP_PAIR,   /* two core registers, Sm and the next */
  FP_CONSTANT,
  FP_LOAD,  /* writes Sd */
  FP_STORE, /* reads Sd */
  FP_LIST,  /* bits 7:0 words */
};

struct row {
  uint32_t mask, value; /* of the opcode, 16-bit ones in the upper half */
  uint8_t cycles, kind, flags, shape;
};

#define ALU FLAG_ALU
#define LOAD (FLAG_LOAD | FLAG_OVERLAPS)
#define STORE FLAG_OVERLAPS
#define FPR (FLAG_FP | FLAG_FP_RESULT)

/* The first matching row counts. */
static const struct row narrow_rows[] = {
    /* Compare: CMP, CMN, TST 1 */
    {0xF8000000, 0x28000000, 1, KIND_PLAIN, 0, NONE},
    {0xFFC00000, 0x42000000, 1, KIND_PLAIN, 0, NONE},
    {0xFF800000, 0x42800000, 1, KIND_PLAIN, 0, NONE},
    {0xFF000000, 0x45000000, 1, KIND_PLAIN, 0, NONE},
    /* Move, shift, add, subtract, logical, MUL 1 */
    {0xE0000000, 0x00000000, 1, KIND_PLAIN, ALU, RD_0},
    {0xE0000000, 0x20000000, 1, KIND_PLAIN, ALU, RD_8},
    {0xFC000000, 0x40000000, 1, KIND_PLAIN, ALU, RD_0},
    /* Move, add: to PC 1 + P; any register 1 */
    {0xFF870000, 0x46870000, 1, KIND_BRANCH, 0, NONE},
    {0xFF870000, 0x44870000, 1, KIND_BRANCH, 0, NONE},
    {0xFD000000, 0x44000000, 1, KIND_PLAIN, ALU | FLAG_SP, RD_HIGH},
    /* Branch: BX, BLX 1 + P */
    {0xFF000000, 0x47000000, 1, KIND_BRANCH, 0, NONE},
    /* Load 2; store 2, or 1 with an immediate offset (STR Rx,[Ry,#imm] is always one cycle) */
    {0xF8000000, 0x48000000, 2, KIND_PLAIN, LOAD, RD_8},
    {0xFE000000, 0x56000000, 2, KIND_PLAIN, LOAD, REG_OFF},
    {0xF8000000, 0x58000000, 2, KIND_PLAIN, LOAD, REG_OFF},
    {0xF0000000, 0x50000000, 2, KIND_PLAIN, STORE, REG_OFF},
    {0xE8000000, 0x68000000, 2, KIND_PLAIN, LOAD, IMM_OFF},
    {0xE8000000, 0x60000000, 1, KIND_PLAIN, STORE, IMM_OFF},
    {0xF8000000, 0x88000000, 2, KIND_PLAIN, LOAD, IMM_OFF},
    {0xF8000000, 0x80000000, 1, KIND_PLAIN, STORE, IMM_OFF},
    {0xF8000000, 0x98000000, 2, KIND_PLAIN, LOAD, SP_OFF},
    {0xF8000000, 0x90000000, 1, KIND_PLAIN, STORE, SP_OFF},
    /* Form address, add to SP 1 */
    {0xF0000000, 0xA0000000, 1, KIND_PLAIN, ALU, RD_8},
    {0xFF000000, 0xB0000000, 1, KIND_PLAIN, FLAG_SP, NONE},
    /* Branch: CBZ, CBNZ 1 or 1 + P */
    {0xF5000000, 0xB1000000, 1, KIND_BRANCH_COND, 0, NONE},
    /* Extend, reverse 1 */
    {0xFF000000, 0xB2000000, 1, KIND_PLAIN, ALU, RD_0},
    {0xFF000000, 0xBA000000, 1, KIND_PLAIN, ALU, RD_0},
    /* Push 1 + N; pop 1 + N, with PC 1 + N + P */
    {0xFE000000, 0xB4000000, 1, KIND_PLAIN, FLAG_SP, LIST_LINK},
    {0xFF000000, 0xBD000000, 1, KIND_BRANCH, FLAG_SP, LIST_LINK},
    {0xFF000000, 0xBC000000, 1, KIND_PLAIN, FLAG_SP, LIST_LINK},
    /* State change: CPS 1 */
    {0xFFE00000, 0xB6600000, 1, KIND_MASK, 0, NONE},
    /* Hints: NOP, YIELD, SEV 1; WFE, WFI 1 + W */
    {0xFFFF0000, 0xBF100000, 1, KIND_YIELD, 0, NONE},
    {0xFFFF0000, 0xBF200000, 1, KIND_WAIT_EVENT, 0, NONE},
    {0xFFFF0000, 0xBF400000, 1, KIND_SEND_EVENT, 0, NONE},
    {0xFF0F0000, 0xBF000000, 1, KIND_PLAIN, 0, NONE},
    /* If-then 1 */
    {0xFF000000, 0xBF000000, 1, KIND_IT, 0, IT_BLOCK},
    /* Load, store multiple 1 + N */
    {0xF0000000, 0xC0000000, 1, KIND_PLAIN, 0, LIST},
    /* Supervisor call: no count; the entry is charged as an exception */
    {0xFF000000, 0xDF000000, 1, KIND_PLAIN, 0, NONE},
    /* Branch: conditional 1 or 1 + P, unconditional 1 + P */
    {0xF0000000, 0xD0000000, 1, KIND_BRANCH_COND, 0, NONE},
    {0xF8000000, 0xE0000000, 1, KIND_BRANCH, 0, NONE},
};

static const struct row wide_rows[] = {
    /* Table branch TBB, TBH 2 + P */
    {0xFFF0FFE0, 0xE8D0F000, 2, KIND_BRANCH, 0, NONE},
    /* Load, store multiple 1 + N; with PC 1 + N + P */
    {0xFE508000, 0xE8108000, 1, KIND_BRANCH, FLAG_SP, WIDE_LIST},
    {0xFE400000, 0xE8000000, 1, KIND_PLAIN, FLAG_SP, WIDE_LIST},
    /* Semaphore: LDREX, STREX 2, pipelined as LDR; CLREX 1 */
    {0xFFE00000, 0xE8400000, 2, KIND_PLAIN, LOAD, WIDE_LDST},
    {0xFFE00F80, 0xE8C00F00, 2, KIND_PLAIN, LOAD, WIDE_LDST},
    /* Load, store two words 1 + N */
    {0xFE400000, 0xE8400000, 3, KIND_PLAIN, 0, WIDE_DOUBLE},
    /* Compare and test with a shifted register or an immediate: no result, 1 */
    {0xFE100F00, 0xEA100F00, 1, KIND_PLAIN, 0, NONE},
    {0xFA108F00, 0xF0100F00, 1, KIND_PLAIN, 0, NONE},
    /* Data processing, bit field, saturate, move 16 bits 1 */
    {0xFE000000, 0xEA000000, 1, KIND_PLAIN, ALU | FLAG_SP, WIDE_RD},
    {0xF8008000, 0xF0000000, 1, KIND_PLAIN, ALU | FLAG_SP, WIDE_RD},
    {0xFF000000, 0xFA000000, 1, KIND_PLAIN, ALU, WIDE_RD},
    /* Hints, barriers (0 wait cycles; ISB refills), MRS, MSR */
    {0xFFFFD0FF, 0xF3AF8001, 1, KIND_YIELD, 0, NONE},
    {0xFFFFD0FF, 0xF3AF8002, 1, KIND_WAIT_EVENT, 0, NONE},
    {0xFFFFD0FF, 0xF3AF8004, 1, KIND_SEND_EVENT, 0, NONE},
    {0xFFF0D0F0, 0xF3B08060, 1, KIND_BRANCH, 0, NONE},
    {0xFFE0D000, 0xF3A08000, 1, KIND_PLAIN, 0, NONE},
    {0xFFE0D000, 0xF3808000, 1, KIND_MASK, FLAG_SP, NONE},
    {0xFFE0D000, 0xF3E08000, 1, KIND_PLAIN, 0, NONE},
    /* Branch: conditional 1 or 1 + P, unconditional and with link 1 + P */
    {0xF800D000, 0xF0008000, 1, KIND_BRANCH_COND, 0, NONE},
    {0xF8008000, 0xF0008000, 1, KIND_BRANCH, 0, NONE},
    /* Load: PLD and its kin 1; to PC 2 + P; else 2 */
    {0xFE70F000, 0xF850F000, 2, KIND_BRANCH, 0, WIDE_LDST},
    {0xFE10F000, 0xF810F000, 1, KIND_PLAIN, 0, NONE},
    {0xFE100000, 0xF8100000, 2, KIND_PLAIN, LOAD, WIDE_LDST},
    /* Store: with a register offset 2, else 1 */
    {0xFF900FC0, 0xF8000000, 2, KIND_PLAIN, STORE, WIDE_LDST},
    {0xFF100000, 0xF8000000, 1, KIND_PLAIN, STORE, WIDE_LDST},
    /* Multiply: MUL 1; MLA, MLS the parameter; all the DSP multiplies 1 */
    {0xFFF0F0F0, 0xFB00F000, 1, KIND_PLAIN, ALU, WIDE_RD},
    {0xFFF000E0, 0xFB000000, 1, KIND_PLAIN, ALU, MAC},
    {0xFF800000, 0xFB000000, 1, KIND_PLAIN, ALU, WIDE_RD},
    /* Divide 2 to 12; long multiplies 1 */
    {0xFFF000F0, 0xFB9000F0, 2, KIND_DIVIDE, ALU | FLAG_SIGNED, WIDE_RD},
    {0xFFF000F0, 0xFBB000F0, 2, KIND_DIVIDE, ALU, WIDE_RD},
    {0xFF800000, 0xFB800000, 1, KIND_PLAIN, ALU, WIDE_PAIR},

    /* Table 7-1. VMOV of two core registers 2 */
    {0xFFE00ED0, 0xEC400A10, 2, KIND_PLAIN, FLAG_FP, FP_PAIR},
    /* VLDR.32 2, VLDR.64 3; VSTR.32 2, VSTR.64 3 */
    {0xFF300F00, 0xED100A00, 2, KIND_PLAIN, FLAG_FP, FP_LOAD},
    {0xFF300F00, 0xED100B00, 3, KIND_PLAIN, FLAG_FP, FP_LOAD},
    {0xFF300F00, 0xED000A00, 2, KIND_PLAIN, FLAG_FP, FP_STORE},
    {0xFF300F00, 0xED000B00, 3, KIND_PLAIN, FLAG_FP, FP_STORE},
    /* VLDM, VSTM, VPUSH, VPOP 1 + N words */
    {0xFE000E00, 0xEC000A00, 1, KIND_PLAIN, FLAG_FP | FLAG_SP, FP_LIST},
    /* VMOV to and from a core register 1, VMRS, VMSR 1 */
    {0xFFF00F10, 0xEE000A10, 1, KIND_PLAIN, FLAG_FP, FP_IN},
    {0xFF000E10, 0xEE000A10, 1, KIND_PLAIN, FLAG_FP, FP_OUT},
    /* VMLA, VMLS, VNMLA, VNMLS 3; VFMA, VFMS, VFNMA, VFNMS 3 */
    {0xFFA00F10, 0xEE000A00, 3, KIND_PLAIN, FPR, FP_ADDEND},
    {0xFFB00F10, 0xEE900A00, 3, KIND_PLAIN, FPR, FP_ADDEND},
    {0xFFB00F10, 0xEEA00A00, 3, KIND_PLAIN, FPR, FP_ADDEND},
    /* VDIV 14 */
    {0xFFB00F10, 0xEE800A00, 14, KIND_PLAIN, FPR, FP_THREE},
    /* VMUL, VNMUL, VADD, VSUB 1 */
    {0xFFA00F10, 0xEE200A00, 1, KIND_PLAIN, FPR, FP_THREE},
    /* VSQRT 14 */
    {0xFFBF0FD0, 0xEEB10AC0, 14, KIND_PLAIN, FPR, FP_TWO},
    /* VCVT of a fixed-point number 1 */
    {0xFFBE0F50, 0xEEBA0A40, 1, KIND_ROUND_NEAREST, FPR, FP_TWO},
    /* VCMP 1; VMOV of an immediate 1; VABS, VNEG, VMOV, VCVT 1 */
    {0xFFBE0F50, 0xEEB40A40, 1, KIND_PLAIN, FLAG_FP, FP_TEST},
    {0xFFB00F50, 0xEEB00A00, 1, KIND_PLAIN, FLAG_FP, FP_CONSTANT},
    {0xFFB00F10, 0xEEB00A00, 1, KIND_PLAIN, FPR, FP_TWO},
};

static uint32_t bit(uint32_t opcode, int shift, uint32_t mask) {
  return 1u << (opcode >> shift & mask);
}

/* LDM, LDRD, VLDR and their kin fault where LDR is only slower (ARMv7-M ARM, A3.2.1). */
static void must_be_aligned(struct timing *timing, uint32_t base) {
  if (base == 15) /* PC is aligned before it is used */
    return;
  timing->flags |= FLAG_ALIGNED;
  timing->access_bytes = 4;
  timing->base = (uint8_t)base;
}

/* STR, STRH, STRB, LDRSB, LDR, LDRH, LDRB, LDRSH by bits 11:9 */
static const uint8_t register_offset_bytes[8] = {4, 2, 0, 0, 4, 2, 0, 2};

static void operands_16(enum shape shape, uint32_t op, struct timing *timing) {
  switch (shape) {
  case RD_0:
    timing->results = bit(op, 0, 7);
    break;
  case RD_8:
    timing->results = bit(op, 8, 7);
    break;
  case RD_HIGH:
    timing->results = 1u << ((op & 7) | (op >> 4 & 8));
    break;
  case REG_OFF:
    timing->address_registers = bit(op, 3, 7) | bit(op, 6, 7);
    timing->results = bit(op, 0, 7);
    timing->access_bytes = register_offset_bytes[op >> 9 & 7];
    timing->base = op >> 3 & 7;
    timing->index = op >> 6 & 7;
    break;
  case IMM_OFF: /* words 6xxx, bytes 7xxx, halfwords 8xxx; the offset is in units of them */
    timing->address_registers = bit(op, 3, 7);
    timing->results = bit(op, 0, 7);
    timing->access_bytes = op >> 12 == 6 ? 4 : op >> 12 == 8 ? 2 : 0;
    timing->base = op >> 3 & 7;
    break;
  case SP_OFF: /* SP is always aligned to words */
    timing->address_registers = 1u << 13;
    timing->results = bit(op, 8, 7);
    break;
  case LIST:
    timing->cycles += __builtin_popcount(op & 0xFF);
    must_be_aligned(timing, op >> 8 & 7);
    break;
  case LIST_LINK:
    timing->cycles += __builtin_popcount(op & 0x1FF);
    break;
  case IT_BLOCK:
    timing->it_count = 4 - __builtin_ctz(op & 0xF);
    break;
  default:
    break;
  }
}

/* ARMv7-M ARM, A5.3.7 and A5.3.10: imm12, register or imm8 with pre- and post-indexing */
static void single_access(uint32_t op, struct timing *timing) {
  uint32_t size = op >> 21 & 3; /* bytes, halfwords, words */
  timing->base = op >> 16 & 15;
  timing->address_registers = bit(op, 16, 15) & 0x7FFF;
  timing->access_bytes = size && timing->base != 15 ? 1u << size : 0;
  if ((op & 0xFE000000) != 0xF8000000) { /* exclusive: must be aligned */
    timing->access_bytes = 0;
  } else if (op & 0x00800000) {
    timing->offset = op & 0xFFF;
  } else if (!(op & 0x00000FC0)) {
    timing->index = op & 15;
    timing->index_shift = op >> 4 & 3;
    timing->address_registers |= bit(op, 0, 15);
  } else if (op & 0x400) { /* P: not post-indexed */
    timing->offset = op & 0x200 ? op & 0xFF : 0u - (op & 0xFF);
  }
}

static void operands_32(const struct parameters *parameters, enum shape shape, uint32_t op,
                        struct timing *timing) {
  switch (shape) {
  case MAC:
    timing->cycles = parameters->multiply_accumulate;
    timing->results = bit(op, 8, 15);
    break;
  case WIDE_RD:
    timing->results = bit(op, 8, 15);
    if (timing->results != 1u << 13)
      timing->flags &= ~FLAG_SP;
    break;
  case WIDE_PAIR:
    timing->results = bit(op, 12, 15) | bit(op, 8, 15);
    break;
  case WIDE_LDST:
    timing->results = bit(op, 12, 15);
    single_access(op, timing);
    break;
  case WIDE_LIST:
    timing->cycles += __builtin_popcount(op & 0xFFFF);
    must_be_aligned(timing, op >> 16 & 15);
    break;
  case WIDE_DOUBLE:
    must_be_aligned(timing, op >> 16 & 15);
    break;
  default:
    break;
  }
}

static void operands_fp(enum shape shape, uint32_t op, struct timing *timing) {
  uint32_t d = 1u << ((op >> 11 & 0x1E) | (op >> 22 & 1));
  uint32_t n = 1u << ((op >> 15 & 0x1E) | (op >> 7 & 1));
  uint32_t m = 1u << ((op << 1 & 0x1E) | (op >> 5 & 1));
  if (op & 0x100 && (shape == FP_LOAD || shape == FP_STORE)) {
    d = 3u << (op >> 11 & 0x1E);
  }
  switch (shape) {
  case FP_THREE:
  case FP_ADDEND:
    timing->fp_results = d;
    timing->fp_operands = n | m;
    break;
  case FP_TWO:
    timing->fp_results = d;
    timing->fp_operands = m;
    break;
  case FP_TEST:
    timing->fp_operands = d | m;
    break;
  case FP_IN:
    timing->fp_results = n;
    break;
  case FP_OUT:
    timing->fp_operands = n;
    break;
  case FP_PAIR:
    timing->fp_operands = op >> 20 & 1 ? m | m << 1 : 0;
    break;
  case FP_CONSTANT:
    timing->fp_results = d;
    break;
  case FP_LOAD:
    timing->fp_results = d;
    timing->address_registers = bit(op, 16, 15) & 0x7FFF;
    must_be_aligned(timing, op >> 16 & 15);
    break;
  case FP_STORE:
    timing->fp_operands = d;
    timing->address_registers = bit(op, 16, 15) & 0x7FFF;
    must_be_aligned(timing, op >> 16 & 15);
    break;
  case FP_LIST:
    timing->cycles += op & 0xFF;
    timing->address_registers = bit(op, 16, 15);
    must_be_aligned(timing, op >> 16 & 15);
    break;
  default:
    break;
  }
}

void decode_m4(const struct parameters *parameters, uint32_t opcode, bool wide,
               struct timing *timing) {
  const struct row *row = wide ? wide_rows : narrow_rows;
  const struct row *end = wide ? wide_rows + sizeof wide_rows / sizeof *row
                               : narrow_rows + sizeof narrow_rows / sizeof *row;
  while (row < end && (opcode & row->mask) != row->value)
    row++;
  if (row == end)
    return;
  timing->index = NO_REGISTER;
  timing->cycles = row->cycles;
  timing->kind = row->kind;
  timing->flags = row->flags;
  if (row->shape >= FP_THREE)
    operands_fp(row->shape, opcode, timing);
  else if (wide)
    operands_32(parameters, row->shape, opcode, timing);
  else
    operands_16(row->shape, opcode >> 16, timing);
}
