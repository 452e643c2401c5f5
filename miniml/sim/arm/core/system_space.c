/* The system control space: SysTick, NVIC registers, SCB, DWT's cycle counter
 * (ARMv7-M ARM, B3; ARMv6-M ARM, B3). */
#include "core.h"

#define SYSTICK_ENABLE 1u
#define SYSTICK_TICKINT 2u
#define SYSTICK_CORE_CLOCK 4u
#define SYSTICK_COUNTFLAG 0x10000u
#define DEMCR_TRCENA 0x01000000u
#define DWT_CYCCNTENA 1u
#define AIRCR_KEY 0x05FAu
#define AIRCR_SYSRESETREQ 4u

enum address {
  DWT_CTRL = 0xE0001000,
  DWT_CYCCNT = 0xE0001004,
  STCSR = 0xE000E010,
  STRVR = 0xE000E014,
  STCVR = 0xE000E018,
  STCALIB = 0xE000E01C,
  NVIC_ISER = 0xE000E100,
  NVIC_ICER = 0xE000E180,
  NVIC_ISPR = 0xE000E200,
  NVIC_ICPR = 0xE000E280,
  NVIC_IABR = 0xE000E300,
  NVIC_IPR = 0xE000E400,
  SCB_CPUID = 0xE000ED00,
  SCB_ICSR = 0xE000ED04,
  SCB_VTOR = 0xE000ED08,
  SCB_AIRCR = 0xE000ED0C,
  SCB_SCR = 0xE000ED10,
  SCB_CCR = 0xE000ED14,
  SCB_SHPR1 = 0xE000ED18,
  SCB_SHCSR = 0xE000ED24,
  SCB_CFSR = 0xE000ED28,
  SCB_HFSR = 0xE000ED2C,
  SCB_MMFAR = 0xE000ED34,
  SCB_BFAR = 0xE000ED38,
  SCB_CPACR = 0xE000ED88,
  SCB_DEMCR = 0xE000EDFC,
  STIR = 0xE000EF00,
};

/* ---- SysTick ---- */

static uint64_t systick_divider(const struct core *core) {
  return core->systick_control & SYSTICK_CORE_CLOCK ? 1 : core->external_reference_cycles;
}

static uint32_t systick_value(const struct core *core) {
  if (!(core->systick_control & SYSTICK_ENABLE))
    return core->systick_first;
  uint64_t ticks = (core->cycles - core->systick_start) / systick_divider(core);
  if (ticks <= core->systick_first)
    return core->systick_first - (uint32_t)ticks;
  return core->systick_reload -
         (uint32_t)((ticks - core->systick_first - 1) % (core->systick_reload + 1ull));
}

/* Starts counting anew from this value, now. */
static void systick_rebase(struct core *core, uint32_t value) {
  core->systick_first = value;
  core->systick_start = core->cycles;
  uint64_t ticks = value ? value : core->systick_reload + 1ull;
  bool counts = (core->systick_control & SYSTICK_ENABLE) && (value || core->systick_reload);
  core->systick_due = counts ? core->cycles + ticks * systick_divider(core) : NO_CYCLE;
  core->wake = 0;
}

uint64_t systick_next(struct core *core) {
  return core->systick_control & SYSTICK_TICKINT ? core->systick_due : NO_CYCLE;
}

/* COUNTFLAG and the interrupt come when the counter goes from 1 to 0. */
void systick_update(struct core *core) {
  if (core->cycles < core->systick_due)
    return;
  core->systick_flag = 1;
  if (core->systick_control & SYSTICK_TICKINT)
    core->pending[EXC_SYSTICK] = 1;
  if (!core->systick_reload) {
    core->systick_due = NO_CYCLE;
    return;
  }
  uint64_t period = (core->systick_reload + 1ull) * systick_divider(core);
  core->systick_due += ((core->cycles - core->systick_due) / period + 1) * period;
}

static uint32_t systick_read_control(struct core *core) {
  systick_update(core);
  uint32_t value = core->systick_control | (core->systick_flag ? SYSTICK_COUNTFLAG : 0);
  core->systick_flag = 0;
  return value;
}

/* ---- DWT ---- */

static bool counter_runs(const struct core *core) {
  return core->m4 && (core->demcr & DEMCR_TRCENA) && (core->dwt_control & DWT_CYCCNTENA);
}

static uint32_t cycle_counter(const struct core *core) {
  return counter_runs(core) ? (uint32_t)(core->cycles - core->cyccnt_base) : core->cyccnt_frozen;
}

static void set_counter(struct core *core, uint32_t demcr, uint32_t control, uint32_t value) {
  core->demcr = demcr;
  core->dwt_control = control;
  core->cyccnt_frozen = value;
  core->cyccnt_base = core->cycles - value;
}

/* ---- NVIC ---- */

static uint32_t gather(const uint8_t *bits, uint32_t word) {
  uint32_t value = 0;
  for (uint32_t i = 0; i < 32 && EXC_FIRST_INTERRUPT + word * 32 + i < EXCEPTIONS; i++)
    value |= (uint32_t)bits[EXC_FIRST_INTERRUPT + word * 32 + i] << i;
  return value;
}

static void scatter(uint8_t *bits, uint32_t word, uint32_t mask, uint8_t value) {
  for (uint32_t i = 0; i < 32 && EXC_FIRST_INTERRUPT + word * 32 + i < EXCEPTIONS; i++)
    if (mask >> i & 1)
      bits[EXC_FIRST_INTERRUPT + word * 32 + i] = value;
}

static uint32_t priorities(const struct core *core, uint32_t first) {
  uint32_t value = 0;
  for (uint32_t i = 0; i < 4 && first + i < EXCEPTIONS; i++)
    value |= (uint32_t)core->priority[first + i] << 8 * i;
  return value;
}

static uint32_t highest_pending(const struct core *core) {
  for (uint32_t number = 2; number < EXCEPTIONS; number++)
    if (core->pending[number] && core->enabled[number])
      return number;
  return 0;
}

static uint32_t interrupt_state(struct core *core) {
  uint32_t value = core_register(core, CORE_SPECIAL + UC_REG_IPSR) & 0x1FF;
  value |= highest_pending(core) << 12;
  value |= (uint32_t)core->pending[EXC_SYSTICK] << 26 | (uint32_t)core->pending[EXC_PENDSV] << 28;
  return value;
}

/* ---- the register map ---- */

uint32_t system_read(struct core *core, uint32_t address) {
  if (address >= NVIC_IPR && address < NVIC_IPR + EXCEPTIONS)
    return priorities(core, EXC_FIRST_INTERRUPT + address - NVIC_IPR);
  if (address >= SCB_SHPR1 && address < SCB_SHPR1 + 12)
    return priorities(core, 4 + address - SCB_SHPR1);
  if (address >= NVIC_ISER && address < NVIC_IPR) {
    const uint8_t *bits = address < NVIC_ISPR   ? core->enabled
                          : address < NVIC_IABR ? core->pending
                                                : core->active;
    return gather(bits, (address & 0x7F) / 4);
  }
  switch (address) {
  case DWT_CTRL:
    return core->m4 ? 0x40000000u | core->dwt_control : 0x20000000u;
  case DWT_CYCCNT:
    return cycle_counter(core);
  case STCSR:
    return systick_read_control(core);
  case STRVR:
    return core->systick_reload;
  case STCVR:
    return systick_value(core);
  case STCALIB:
    return 0xC0000000u; /* no reference, no calibration value */
  case SCB_CPUID:
    return core->cpuid;
  case SCB_ICSR:
    return interrupt_state(core);
  case SCB_VTOR:
    return core->vtor;
  case SCB_AIRCR:
    return 0xFA050000u;
  case SCB_SCR:
    return core->scr;
  case SCB_CCR:
    return core->ccr;
  case SCB_SHCSR:
    return core->shcsr;
  case SCB_CFSR:
    return core->cfsr;
  case SCB_HFSR:
    return core->hfsr;
  case SCB_MMFAR:
  case SCB_BFAR:
    return core->fault_address;
  case SCB_CPACR:
    return core->cpacr;
  case SCB_DEMCR:
    return core->demcr;
  default:
    return 0;
  }
}

static void write_priorities(struct core *core, uint32_t first, uint32_t size, uint32_t value) {
  for (uint32_t i = 0; i < size && first + i < EXCEPTIONS; i++)
    core->priority[first + i] = (uint8_t)(value >> 8 * i & core->priority_mask);
}

static void write_interrupts(struct core *core, uint32_t address, uint32_t value) {
  uint8_t *bits = address < NVIC_ISPR ? core->enabled : core->pending;
  bool clear = address & 0x80;
  scatter(bits, (address & 0x7F) / 4, value, !clear);
  for (uint32_t i = EXC_FIRST_INTERRUPT; i < EXCEPTIONS; i++)
    core->pending[i] |= core->level[i] && !core->active[i];
}

void system_write(struct core *core, uint32_t address, uint32_t size, uint32_t value) {
  core->wake = 0; /* whatever changed, let the loop look at it */
  if (address >= NVIC_IPR && address < NVIC_IPR + EXCEPTIONS) {
    write_priorities(core, EXC_FIRST_INTERRUPT + address - NVIC_IPR, size, value);
    return;
  }
  if (address >= SCB_SHPR1 && address < SCB_SHPR1 + 12) {
    write_priorities(core, 4 + address - SCB_SHPR1, size, value);
    return;
  }
  if (address >= NVIC_ISER && address < NVIC_IABR) {
    write_interrupts(core, address, value);
    return;
  }
  switch (address) {
  case DWT_CTRL:
    set_counter(core, core->demcr, value & DWT_CYCCNTENA, cycle_counter(core));
    break;
  case DWT_CYCCNT:
    set_counter(core, core->demcr, core->dwt_control, value);
    break;
  case SCB_DEMCR:
    set_counter(core, value, core->dwt_control, cycle_counter(core));
    break;
  case STCSR: {
    uint32_t now = systick_value(core);
    core->systick_control = value & 7;
    systick_rebase(core, now);
    break;
  }
  case STRVR: {
    uint32_t now = systick_value(core);
    core->systick_reload = value & 0xFFFFFF;
    systick_rebase(core, now);
    break;
  }
  case STCVR:
    core->systick_flag = 0;
    systick_rebase(core, 0);
    break;
  case SCB_ICSR:
    if (value >> 31 & 1)
      core->pending[EXC_NMI] = 1;
    if (value >> 28 & 1 || value >> 27 & 1)
      core->pending[EXC_PENDSV] = value >> 28 & 1;
    if (value >> 26 & 1 || value >> 25 & 1)
      core->pending[EXC_SYSTICK] = value >> 26 & 1;
    break;
  case SCB_VTOR:
    core->vtor = value & (core->m4 ? 0x3FFFFF80u : 0xFFFFFF00u);
    /* A new program: its stack's depth counts from its own top. */
    core->engine.mem_read(core->engine.handle, core->vtor, &core->lowest_sp, 4);
    break;
  case SCB_AIRCR:
    if (value >> 16 == AIRCR_KEY && (value & AIRCR_SYSRESETREQ))
      core->reset_request = 1;
    break;
  case SCB_SCR:
    core->scr = value;
    break;
  case SCB_CCR:
    core->ccr = core->m4 ? value : core->ccr;
    break;
  case SCB_SHCSR:
    core->shcsr = value & 0x70000;
    break;
  case SCB_CFSR:
    core->cfsr &= ~value;
    break;
  case SCB_HFSR:
    core->hfsr &= ~value;
    break;
  case SCB_CPACR:
    core->cpacr = core->m4 ? value & 0x00F00000 : 0;
    break;
  case STIR:
    if (EXC_FIRST_INTERRUPT + (value & 0x1FF) < EXCEPTIONS)
      core->pending[EXC_FIRST_INTERRUPT + (value & 0x1FF)] = 1;
    break;
  default:
    break;
  }
}
