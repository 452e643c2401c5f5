/* Exception entry and return, priorities and faults (ARMv7-M ARM, B1.5; ARMv6-M ARM,
 * B1.5). Unicorn has no NVIC. Not modelled: priority grouping (every level pre-empts),
 * late arrival, and lazy saving of the FPU registers (they are saved at once, at the
 * same cost as if lazily). */
#include "core.h"

#include <string.h>

#define FRAME_WORDS 8
#define FP_FRAME_WORDS 26
#define XPSR_ALIGNED (1u << 9)
#define XPSR_THUMB (1u << 24)
#define CONTROL_SPSEL 2u
#define CONTROL_FPCA 4u
#define EXC_RETURN_BASE 0xFFFFFFE1u
#define EXC_RETURN_THREAD 8u
#define EXC_RETURN_PSP 4u
#define EXC_RETURN_NO_FP 16u
#define PRIORITY_THREAD 256
#define HFSR_FORCED (1u << 30)
#define CFSR_INVSTATE (1u << 17)
#define CFSR_UNDEFINSTR (1u << 16)
#define CFSR_NOCP (1u << 19)
#define CFSR_UNALIGNED (1u << 24)
#define CFSR_PRECISERR_BFARVALID (0x82u << 8)
#define CFSR_IBUSERR (1u << 8)

enum engine_error {
  ENGINE_READ_UNMAPPED = 6,
  ENGINE_WRITE_UNMAPPED = 7,
  ENGINE_FETCH_UNMAPPED = 8,
  ENGINE_BAD_INSTRUCTION = 10,
  ENGINE_WRITE_PROTECTED = 12,
  ENGINE_READ_PROTECTED = 13,
  ENGINE_FETCH_PROTECTED = 14,
  ENGINE_READ_UNALIGNED = 16,
  ENGINE_WRITE_UNALIGNED = 17,
};

static uint32_t special(struct core *core, int id) {
  return core_register(core, CORE_SPECIAL + id);
}

static void set_special(struct core *core, int id, uint32_t value) {
  core_set_register(core, CORE_SPECIAL + id, value);
}

void exceptions_reset(struct core *core) {
  memset(core->pending, 0, sizeof core->pending);
  memset(core->enabled, 0, sizeof core->enabled);
  memset(core->active, 0, sizeof core->active);
  memset(core->level, 0, sizeof core->level);
  memset(core->priority, 0, sizeof core->priority);
  memset(core->enabled, 1, EXC_FIRST_INTERRUPT);
  core->cpacr = core->scr = core->shcsr = core->cfsr = core->hfsr = core->demcr = 0;
  core->ccr = core->m4 ? 0x200 : 0x208;
  core->dwt_control = core->cyccnt_frozen = 0;
  core->systick_control = core->systick_reload = core->systick_flag = core->systick_first = 0;
  core->systick_due = NO_CYCLE;
  set_special(core, UC_REG_XPSR_NZCVQG, XPSR_THUMB);
  set_special(core, UC_REG_CONTROL, 0);
  set_special(core, UC_REG_PRIMASK, 0);
  if (core->m4) {
    set_special(core, UC_REG_BASEPRI, 0);
    set_special(core, UC_REG_FAULTMASK, 0);
    set_special(core, UC_REG_FPSCR, 0);
  }
}

static int priority_of(const struct core *core, uint32_t number) {
  return number == EXC_NMI ? -2 : number == EXC_HARDFAULT ? -1 : core->priority[number];
}

static int running_priority(struct core *core) {
  int running = PRIORITY_THREAD;
  for (uint32_t number = 2; number < EXCEPTIONS; number++)
    if (core->active[number] && priority_of(core, number) < running)
      running = priority_of(core, number);
  if (core->m4) {
    int base = (int)special(core, UC_REG_BASEPRI);
    if (base && base < running)
      running = base;
    if ((special(core, UC_REG_FAULTMASK) & 1) && running > -1)
      running = -1;
  }
  if ((special(core, UC_REG_PRIMASK) & 1) && running > 0)
    running = 0;
  return running;
}

static uint32_t most_urgent(const struct core *core) {
  uint32_t best = 0;
  for (uint32_t number = 2; number < EXCEPTIONS; number++)
    if (core->pending[number] && core->enabled[number] &&
        (!best || priority_of(core, number) < priority_of(core, best)))
      best = number;
  return best;
}

bool exceptions_waiting(struct core *core) {
  uint32_t number = most_urgent(core);
  return number && priority_of(core, number) < running_priority(core);
}

/* WFI wakes on what would be taken if PRIMASK were clear. */
bool exceptions_wake(struct core *core) {
  return most_urgent(core) != 0;
}

static bool lock_up(struct core *core) {
  core->stop = STOP_LOCKUP;
  return false;
}

static bool push_frame(struct core *core, uint32_t return_address, uint32_t *code) {
  uint32_t frame[FP_FRAME_WORDS] = {0};
  bool with_fp = core->m4 && (special(core, UC_REG_CONTROL) & CONTROL_FPCA);
  uint32_t words = with_fp ? FP_FRAME_WORDS : FRAME_WORDS;
  uint32_t sp = core_register(core, 13);
  uint32_t xpsr = special(core, UC_REG_XPSR);
  bool padded = (sp & 4) && (core->ccr & 0x200);
  uint32_t base = sp - 4 * words - (padded ? 4 : 0);

  for (int i = 0; i < 4; i++)
    frame[i] = core_register(core, i);
  frame[4] = core_register(core, 12);
  frame[5] = core_register(core, 14);
  frame[6] = return_address;
  frame[7] = (xpsr & ~XPSR_ALIGNED) | XPSR_THUMB | (padded ? XPSR_ALIGNED : 0);
  if (with_fp) {
    for (int i = 0; i < 16; i++)
      frame[8 + i] = special(core, UC_REG_S0 + i);
    frame[24] = special(core, UC_REG_FPSCR);
  }
  if (core->engine.mem_write(core->engine.handle, base, frame, 4 * words))
    return false;
  core_set_register(core, 13, base);
  if (base < core->lowest_sp)
    core->lowest_sp = base;
  bool thread = (xpsr & 0x1FF) == 0;
  bool process_stack = thread && (special(core, UC_REG_CONTROL) & CONTROL_SPSEL);
  *code = EXC_RETURN_BASE | (with_fp ? 0 : EXC_RETURN_NO_FP) | (thread ? EXC_RETURN_THREAD : 0) |
          (process_stack ? EXC_RETURN_PSP : 0);
  return true;
}

static bool enter(struct core *core, uint32_t number, uint32_t return_address) {
  uint32_t code;
  uint32_t vector = 0;
  if (!push_frame(core, return_address, &code))
    return lock_up(core);
  if (core->engine.mem_read(core->engine.handle, core->vtor + 4 * number, &vector, 4) ||
      !(vector & 1))
    return lock_up(core);
  uint32_t flags = special(core, UC_REG_XPSR) & 0xF80F0000u;
  set_special(core, UC_REG_XPSR_NZCVQG, flags | XPSR_THUMB | number);
  if (core->m4)
    set_special(core, UC_REG_CONTROL, special(core, UC_REG_CONTROL) & ~CONTROL_FPCA);
  core_set_register(core, 14, code);
  core_set_register(core, 15, vector);
  core->pending[number] = 0;
  core->active[number] = 1;
  core->taken[number]++;
  core->cycles += core->parameters.exception_entry;
  memset(&core->previous, 0, sizeof core->previous);
  return true;
}

bool exceptions_take(struct core *core) {
  return enter(core, most_urgent(core), core_register(core, 15));
}

void exceptions_raise(struct core *core, uint32_t number) {
  if (priority_of(core, number) >= running_priority(core)) {
    core->hfsr |= HFSR_FORCED;
    number = EXC_HARDFAULT;
  }
  if (number == EXC_HARDFAULT && running_priority(core) <= -1)
    lock_up(core);
  else
    enter(core, number, core_register(core, 15));
}

static uint32_t fault_status(struct core *core) {
  switch (core->engine_error) {
  case ENGINE_BAD_INSTRUCTION:
    return CFSR_UNDEFINSTR;
  case ENGINE_READ_UNALIGNED:
  case ENGINE_WRITE_UNALIGNED:
    return CFSR_UNALIGNED;
  case ENGINE_FETCH_UNMAPPED:
  case ENGINE_FETCH_PROTECTED:
    return CFSR_IBUSERR;
  case 0:
    return CFSR_NOCP;
  case ENGINE_READ_UNMAPPED:
  case ENGINE_WRITE_UNMAPPED:
  case ENGINE_READ_PROTECTED:
  case ENGINE_WRITE_PROTECTED:
    return CFSR_PRECISERR_BFARVALID;
  default:
    return CFSR_INVSTATE;
  }
}

/* A fault in the instruction at this address: to its own handler where SHCSR enables it,
 * else a HardFault. */
void exceptions_fault(struct core *core, uint32_t address) {
  uint32_t status = fault_status(core);
  uint32_t number = EXC_HARDFAULT;
  core->faults++;
  core->fault_pc = address;
  core->pending_cycles = 0;
  core->it_start = core->it_end = 0;
  if (core->m4) {
    core->cfsr |= status;
    if (status >> 16 && (core->shcsr >> 18 & 1))
      number = 6;
    else if (!(status >> 16) && (core->shcsr >> 17 & 1))
      number = 5;
    else
      core->hfsr |= HFSR_FORCED;
  }
  core_set_register(core, 15, address);
  exceptions_raise(core, number);
}

void exceptions_return(struct core *core, uint32_t code) {
  uint32_t frame[FP_FRAME_WORDS];
  uint32_t number = special(core, UC_REG_IPSR) & 0x1FF;
  bool process_stack = code & EXC_RETURN_PSP;
  bool with_fp = core->m4 && !(code & EXC_RETURN_NO_FP);
  uint32_t words = with_fp ? FP_FRAME_WORDS : FRAME_WORDS;
  if (!number) { /* a branch to nowhere from Thread mode */
    core->engine_error = ENGINE_FETCH_UNMAPPED;
    exceptions_fault(core, code & ~1u);
    return;
  }
  uint32_t sp = process_stack ? special(core, UC_REG_PSP) : core_register(core, 13);
  if (core->engine.mem_read(core->engine.handle, sp, frame, 4 * words)) {
    lock_up(core);
    return;
  }
  core->active[number] = 0;
  core->pending[number] |= core->level[number];
  if (core->m4 && number != EXC_NMI)
    set_special(core, UC_REG_FAULTMASK, 0);
  sp += 4 * words + (frame[7] & XPSR_ALIGNED ? 4 : 0);
  if (process_stack)
    set_special(core, UC_REG_PSP, sp);
  else
    core_set_register(core, 13, sp);
  for (int i = 0; i < 4; i++)
    core_set_register(core, i, frame[i]);
  core_set_register(core, 12, frame[4]);
  core_set_register(core, 14, frame[5]);
  set_special(core, UC_REG_XPSR_NZCVQG, frame[7] & ~XPSR_ALIGNED);
  uint32_t control = special(core, UC_REG_CONTROL) & ~(CONTROL_FPCA | CONTROL_SPSEL);
  control |= (with_fp ? CONTROL_FPCA : 0) | (process_stack ? CONTROL_SPSEL : 0);
  set_special(core, UC_REG_CONTROL, control);
  if (with_fp) {
    for (int i = 0; i < 16; i++)
      set_special(core, UC_REG_S0 + i, frame[8 + i]);
    set_special(core, UC_REG_FPSCR, frame[24]);
  }
  core_set_register(core, 15, frame[6]);
  core->cycles += core->parameters.exception_return;
  memset(&core->previous, 0, sizeof core->previous);
}
