/* The hook that runs before every instruction, and the loop around unicorn. */
#include "core.h"
#include "memory_timing.h"

#include <stdlib.h>
#include <string.h>

#define FPSCR_RMODE (3u << 22)
#define CACHE_ENTRIES 65536u
/* Branches to here return from an exception; unicorn sees code in memory that is never
 * executable, or, where it knows of Handler mode, an exception of its own. */
#define EXCEPTION_RETURN_FIRST 0xFFFFFFE0u
#define NO_ADDRESS 0xFFFFFFFEu

/* unicorn's exception numbers and error codes that mean something here */
enum { TRAP_SVC = 2, TRAP_PREFETCH = 3, TRAP_BREAKPOINT = 7 };
enum {
  ENGINE_OK = 0,
  ENGINE_BAD_INSTRUCTION = 10,
  ENGINE_FETCH_PROTECTED = 14,
  ENGINE_READ_UNALIGNED = 16,
  ENGINE_EXCEPTION = 21,
};

/* UDIV and SDIV take 2 to 12 cycles, fewer for short quotients (TRM 100166, table 3-1,
 * note d). The TRM gives no formula: four quotient bits a cycle and an overhead of three
 * span exactly this range. */
static uint32_t divide_cycles(struct core *core, uint32_t opcode, bool is_signed) {
  uint32_t dividend = core_register(core, (opcode >> 16) & 15);
  uint32_t divisor = core_register(core, opcode & 15);
  if (is_signed) {
    dividend = (int32_t)dividend < 0 ? 0u - dividend : dividend;
    divisor = (int32_t)divisor < 0 ? 0u - divisor : divisor;
  }
  if (divisor == 0 || dividend < divisor)
    return 2;
  uint32_t quotient_bits = (uint32_t)__builtin_clz(divisor) - (uint32_t)__builtin_clz(dividend) + 1;
  uint32_t cycles = 4 + (quotient_bits + 3) / 4;
  return cycles > 12 ? 12 : cycles;
}

uint32_t core_register(struct core *core, int number) {
  uint32_t value = 0;
  int id = number < 13 ? UC_REG_R0 + number
                       : (number == 13   ? UC_REG_SP
                          : number == 14 ? UC_REG_LR
                                         : UC_REG_PC);
  if (number >= CORE_SPECIAL)
    id = number - CORE_SPECIAL;
  core->engine.reg_read(core->engine.handle, id, &value);
  return value;
}

void core_set_register(struct core *core, int number, uint32_t value) {
  int id = number < 13 ? UC_REG_R0 + number
                       : (number == 13   ? UC_REG_SP
                          : number == 14 ? UC_REG_LR
                                         : UC_REG_PC);
  if (number >= CORE_SPECIAL)
    id = number - CORE_SPECIAL;
  if (number == 15)
    value |= 1;
  core->engine.reg_write(core->engine.handle, id, &value);
}

static const struct timing *look_up(struct core *core, uint32_t address, uint32_t size) {
  const uint8_t *page = core->pages[address >> PAGE_SHIFT];
  const uint8_t *bytes = page + (address & ((1u << PAGE_SHIFT) - 1));
  uint32_t opcode = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 24;
  if (size == 4) {
    const uint8_t *upper = core->pages[(address + 2) >> PAGE_SHIFT];
    upper += (address + 2) & ((1u << PAGE_SHIFT) - 1);
    opcode |= upper[0] | (uint32_t)upper[1] << 8;
  }
  struct timing *entry = &core->cache[(address >> 1) % CACHE_ENTRIES];
  if (entry->opcode != opcode || entry->cycles == 0)
    core_timing(core, opcode, size == 4, entry);
  return entry;
}

void core_timing(struct core *core, uint32_t opcode, int wide, struct timing *timing) {
  memset(timing, 0, sizeof *timing);
  timing->opcode = opcode;
  timing->cycles = 1;
  core->decode(&core->parameters, opcode, wide != 0, timing);
}

/* VCVT of a fixed-point number rounds to nearest whatever FPSCR says (DDI 0403E, A7.7.228);
 * unicorn 2.1 rounds by FPSCR. So the mode is set aside for this one instruction. */
static void round_to_nearest(struct core *core) {
  uint32_t fpscr = core_register(core, CORE_SPECIAL + UC_REG_FPSCR);
  core->rounding = fpscr & FPSCR_RMODE;
  if (core->rounding)
    core_set_register(core, CORE_SPECIAL + UC_REG_FPSCR, fpscr & ~FPSCR_RMODE);
}

static void restore_rounding(struct core *core) {
  uint32_t fpscr = core_register(core, CORE_SPECIAL + UC_REG_FPSCR);
  core_set_register(core, CORE_SPECIAL + UC_REG_FPSCR, fpscr | core->rounding);
  core->rounding = 0;
}

/* Adds the cost of the instruction that is now complete. */
static void retire(struct core *core, uint32_t address) {
  uint32_t cycles = core->pending_cycles;
  if (core->previous.kind == KIND_BRANCH ||
      (core->previous.kind == KIND_BRANCH_COND && address != core->next_address)) {
    cycles += core->parameters.refill;
    core->previous.kind = KIND_PLAIN;
  }
  core->cycles += cycles;
  core->pending_cycles = 0;
  if (core->rounding)
    restore_rounding(core);
  if (core->sp_changed) {
    uint32_t sp = core_register(core, 13);
    if (sp < core->lowest_sp)
      core->lowest_sp = sp;
    core->sp_changed = 0;
  }
}

static uint32_t accessed_address(struct core *core, const struct timing *timing) {
  uint32_t address = core_register(core, timing->base) + timing->offset;
  if (timing->index != NO_REGISTER)
    address += core_register(core, timing->index) << timing->index_shift;
  return address;
}

/* A load or store that is not aligned is done in parts: halves, or byte, half and byte
 * (TRM 100166, 3.3.2). Unicorn's own hooks on accesses cost five times the speed. */
static uint32_t unaligned_cycles(struct core *core, const struct timing *timing) {
  uint32_t address = accessed_address(core, timing);
  if (!(address & (timing->access_bytes - 1u)))
    return 0;
  return core->parameters.unaligned * (timing->access_bytes == 4 && (address & 1) ? 2 : 1);
}

static uint32_t cost(struct core *core, const struct timing *timing) {
  const struct timing *before = &core->previous;
  const struct parameters *parameters = &core->parameters;
  uint32_t cycles = timing->cycles;
  if (timing->kind == KIND_DIVIDE)
    cycles = divide_cycles(core, timing->opcode, timing->flags & FLAG_SIGNED);
  if ((before->flags & FLAG_LOAD) && (timing->flags & FLAG_OVERLAPS) && cycles > 1 &&
      !(before->results & timing->address_registers))
    cycles -= parameters->load_overlap;
  if ((before->flags & FLAG_ALU) && (before->results & timing->address_registers))
    cycles += parameters->address_stall;
  if ((before->flags & FLAG_FP_RESULT) && (before->fp_results & timing->fp_operands))
    cycles += parameters->fp_result_stall;
  if (timing->access_bytes && !(timing->flags & FLAG_ALIGNED))
    cycles += unaligned_cycles(core, timing);
  return cycles;
}

static void stop_here(struct core *core, enum hook_stop why) {
  core->hook_stop = why;
  core->engine.emu_stop(core->engine.handle);
}

static void on_instruction(void *handle, uint64_t address64, uint32_t size, void *user) {
  (void)handle;
  struct core *core = user;
  uint32_t address = (uint32_t)address64;
  retire(core, address);
  bool in_it_block = address >= core->it_start && address < core->it_end;
  if (!in_it_block) { /* unicorn can't stop within an IT block */
    if (core->cycles >= core->wake || core->instructions >= core->instruction_limit) {
      stop_here(core, HOOK_ATTENTION);
      return;
    }
    if (address == core->trap_address) {
      stop_here(core, HOOK_TRAP);
      return;
    }
    core->it_end = core->it_start = 0;
  }
  const struct timing *timing = look_up(core, address, size);
  if ((timing->flags & FLAG_FP) && (core->cpacr >> 20 & 15) != 15 && !in_it_block) {
    stop_here(core, HOOK_NO_FPU);
    return;
  }
  if ((timing->flags & FLAG_ALIGNED) && !in_it_block && timing->access_bytes) {
    /* Unicorn lets these accesses through (ARMv7-M ARM, A3.2.1; ARMv6-M ARM, A3.2). */
    uint32_t accessed = accessed_address(core, timing);
    if (accessed & (timing->access_bytes - 1u)) {
      core->fault_address = accessed;
      stop_here(core, HOOK_UNALIGNED);
      return;
    }
  }
  core->instructions++;
  core->pending_cycles = cost(core, timing);
  if (in_it_block)
    core->pending_cycles--; /* IT has paid one cycle for each of its instructions */
  if (core->memory)
    core->pending_cycles += memory_stall(core, address, size, false);
  core->next_address = address + size;
  core->sp_changed = timing->flags & FLAG_SP;
  switch (timing->kind) {
  case KIND_IT: /* instructions that are skipped cost a cycle and are not seen here */
    core->pending_cycles += timing->it_count;
    core->it_start = core->next_address;
    core->it_end = core->it_start;
    for (uint32_t i = 0; i < timing->it_count; i++) {
      const uint8_t *page = core->pages[core->it_end >> PAGE_SHIFT];
      uint8_t top = page ? page[(core->it_end & ((1u << PAGE_SHIFT) - 1)) + 1] : 0;
      core->it_end += (top >> 3) >= 0x1D ? 4 : 2;
    }
    break;
  case KIND_MASK:
    core->wake = 0;
    break;
  case KIND_SEND_EVENT:
    core->event = 1;
    break;
  case KIND_ROUND_NEAREST:
    round_to_nearest(core);
    break;
  default:
    break;
  }
  core->previous = *timing;
}

static void on_access(void *handle, int type, uint64_t address, int size, int64_t value,
                      void *user) {
  (void)handle, (void)type, (void)value;
  struct core *core = user;
  if (core->memory)
    core->pending_cycles += memory_stall(core, (uint32_t)address, (uint32_t)size, true);
}

static void on_trap(void *handle, uint32_t number, void *user) {
  struct core *core = user;
  core->trap = number + 1;
  core->engine.emu_stop(handle);
}

static bool on_bad_access(void *handle, int type, uint64_t address, int size, int64_t value,
                          void *user) {
  (void)handle, (void)type, (void)size, (void)value;
  ((struct core *)user)->fault_address = (uint32_t)address;
  return false;
}

struct core *core_new(int m4) {
  struct core *core = calloc(1, sizeof *core);
  core->m4 = m4 != 0;
  core->decode = m4 ? decode_m4 : decode_m0plus;
  core->cache = calloc(CACHE_ENTRIES, sizeof *core->cache);
  core->pages = calloc(1u << (32 - PAGE_SHIFT), sizeof *core->pages);
  core->trap_address = 1; /* odd: never executed */
  core->instruction_limit = NO_CYCLE;
  return core;
}

void core_free(struct core *core) {
  for (unsigned i = 0; i < MAX_WINDOWS; i++)
    free(core->windows[i]);
  free(core->memory);
  free(core->cache);
  free(core->pages);
  free(core);
}

uint32_t core_size(void) {
  return sizeof(struct core);
}

int core_attach(struct core *core) {
  static const struct {
    int type;
    void *callback;
  } hooks[] = {
      {UC_HOOK_CODE, (void *)on_instruction},
      {UC_HOOK_INTR, (void *)on_trap},
      {UC_HOOK_MEM_INVALID, (void *)on_bad_access},
  };
  for (unsigned i = 0; i < sizeof hooks / sizeof *hooks; i++) {
    uint64_t hook;
    int error = core->engine.hook_add(core->engine.handle, &hook, hooks[i].type, hooks[i].callback,
                                      core, (uint64_t)1, (uint64_t)0);
    if (error)
      return error;
  }
  return 0;
}

/* Hooks on accesses cost four fifths of the speed, so only a machine that counts them has one. */
int core_attach_memory(struct core *core) {
  uint64_t hook;
  return core->engine.hook_add(core->engine.handle, &hook, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE,
                               (void *)on_access, core, (uint64_t)1, (uint64_t)0);
}

void core_reset(struct core *core) {
  uint32_t vectors[2] = {0, 0};
  exceptions_reset(core);
  memset(&core->previous, 0, sizeof core->previous);
  core->pending_cycles = 0;
  core->it_start = core->it_end = 0;
  core->event = 0;
  core->stop_request = core->reset_request = 0;
  core->engine.mem_read(core->engine.handle, core->vtor, vectors, sizeof vectors);
  core_set_register(core, 13, vectors[0] & ~3u);
  core_set_register(core, 14, 0xFFFFFFFFu);
  core_set_register(core, 15, vectors[1]);
  core->lowest_sp = vectors[0];
}

/* What unicorn's return means; true: go on. */
static bool handle_stop(struct core *core, int error) {
  uint32_t pc = core_register(core, 15);
  uint32_t trap = core->trap ? core->trap - 1 : 0;
  if (pc >= EXCEPTION_RETURN_FIRST && core->hook_stop == HOOK_NONE) {
    retire(core, pc);
    exceptions_return(core, pc | 1);
  } else if (core->hook_stop == HOOK_NO_FPU) {
    core->engine_error = ENGINE_OK;
    exceptions_fault(core, pc);
  } else if (core->hook_stop == HOOK_UNALIGNED) {
    core->engine_error = ENGINE_READ_UNALIGNED;
    exceptions_fault(core, pc);
  } else if (core->hook_stop == HOOK_TRAP) {
    core->stop = STOP_TRAP;
  } else if (core->hook_stop == HOOK_ATTENTION) {
    return true;
  } else if (trap == TRAP_SVC) {
    retire(core, pc);
    exceptions_raise(core, EXC_SVCALL);
  } else if (trap == TRAP_BREAKPOINT) {
    core->stop = STOP_BREAKPOINT;
    core->pending_cycles = 0; /* it has not been executed */
    core->instructions--;
  } else if (trap == TRAP_PREFETCH) {
    core->engine_error = ENGINE_FETCH_PROTECTED;
    exceptions_fault(core, pc);
  } else if (core->trap) {
    core->engine_error = ENGINE_EXCEPTION;
    exceptions_fault(core, pc);
  } else if (error == ENGINE_OK || core->previous.kind == KIND_WAIT_EVENT) {
    retire(core, pc);
    bool woken = exceptions_wake(core);
    if (core->previous.kind == KIND_WAIT_EVENT)
      woken |= core->event, core->event = 0;
    if (!woken)
      core->stop = STOP_SLEEP;
  } else if (core->previous.kind == KIND_YIELD && error == ENGINE_BAD_INSTRUCTION) {
    retire(core, pc);
  } else {
    core->engine_error = error;
    exceptions_fault(core, pc);
  }
  return core->stop == STOP_NONE;
}

void core_run(struct core *core) {
  core->stop = STOP_NONE;
  do {
    systick_update(core);
    if (exceptions_waiting(core) && !exceptions_take(core))
      return;
    if (core->stop_request || core->reset_request) {
      core->stop = core->reset_request ? STOP_RESET : STOP_REQUEST;
      return;
    }
    if (core->cycles >= core->deadline || core->instructions >= core->instruction_limit) {
      core->stop = STOP_DEADLINE;
      return;
    }
    uint64_t tick = systick_next(core);
    core->wake = tick < core->deadline ? tick : core->deadline;
    core->hook_stop = HOOK_NONE;
    core->trap = 0;
    uint32_t pc = core_register(core, 15);
    int error = core->engine.emu_start(core->engine.handle, pc | 1, NO_ADDRESS, 0, 0);
    if (!handle_stop(core, error))
      return;
  } while (core->stop == STOP_NONE);
}
