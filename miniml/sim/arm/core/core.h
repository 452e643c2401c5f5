/* A Cortex-M core: unicorn executes the instructions, this adds what unicorn hasn't:
 * cycles, exceptions, the system control space. The structure is mirrored field by field
 * in core.py; core_size() guards the copy. */
#ifndef MINIML_SIM_ARM_CORE_H
#define MINIML_SIM_ARM_CORE_H

#include <stdbool.h>
#include <stdint.h>

#define EXCEPTIONS 112 /* 16 of the system, 82 interrupts of an STM32F405, rounded up */
#define NO_CYCLE UINT64_MAX
#define NO_REGISTER 16
#define MAX_WINDOWS 8
#define PAGE_SHIFT 13 /* RP2040's scratch banks end on an 8 KB border */

enum exception {
  EXC_NMI = 2,
  EXC_HARDFAULT = 3,
  EXC_SVCALL = 11,
  EXC_PENDSV = 14,
  EXC_SYSTICK = 15,
  EXC_FIRST_INTERRUPT = 16,
};

/* Why the hook ended a stretch of execution. */
enum hook_stop { HOOK_NONE, HOOK_ATTENTION, HOOK_TRAP, HOOK_NO_FPU, HOOK_UNALIGNED };

/* Why core_run came back. */
enum stop {
  STOP_NONE,
  STOP_DEADLINE,   /* the cycle or instruction limit was reached */
  STOP_REQUEST,    /* a peripheral asked for it (core.stop_request) */
  STOP_BREAKPOINT, /* BKPT; PC is at the instruction */
  STOP_SLEEP,      /* WFI or WFE with nothing pending; PC is behind it */
  STOP_RESET,      /* SYSRESETREQ */
  STOP_LOCKUP,     /* a fault within a fault handler */
  STOP_TRAP,       /* execution reached core.trap_address */
  STOP_ENGINE,     /* unicorn refused; core.engine_error has its code */
};

/* How an instruction behaves; the cores' tables (cycles_*.c) give each one of these. */
enum kind {
  KIND_PLAIN,
  KIND_BRANCH,      /* always taken: costs the refill */
  KIND_BRANCH_COND, /* costs the refill when taken */
  KIND_IT,
  KIND_DIVIDE,
  KIND_WAIT_EVENT, /* WFE */
  KIND_YIELD,
  KIND_SEND_EVENT, /* SEV */
  KIND_MASK,       /* CPS, MSR: may let a pending interrupt through */
  KIND_ROUND_NEAREST,
};

enum flag {
  FLAG_LOAD = 1,     /* a single load: the next load or store may overlap it */
  FLAG_OVERLAPS = 2, /* a single load or store that may overlap the load before it */
  FLAG_FP_RESULT = 4,
  FLAG_SP = 8,        /* changes SP: look at the stack's depth afterwards */
  FLAG_SIGNED = 16,   /* SDIV */
  FLAG_FP = 32,       /* needs the FPU to be enabled in CPACR */
  FLAG_ALU = 64,      /* data processing: its result is late for an address */
  FLAG_ALIGNED = 128, /* an unaligned address is a fault, not a slower access */
};

struct timing {
  uint32_t opcode; /* 16-bit opcodes in the upper half, as fetched first */
  uint8_t cycles;
  uint8_t kind;
  uint8_t flags;
  uint8_t it_count;
  uint16_t address_registers; /* bit n: Rn is used for the address */
  uint16_t results;           /* bit n: Rn is written */
  uint32_t fp_operands;       /* bit n: Sn is read */
  uint32_t fp_results;        /* bit n: Sn is written */
  uint8_t access_bytes;       /* 2 or 4 where alignment matters, else 0 */
  uint8_t base, index;        /* of the address; index NO_REGISTER: none */
  uint8_t index_shift;
  uint32_t offset;
};

/* Stated timing assumptions; the sources are in docs/SIMULATOR_ARM.md. */
struct parameters {
  uint32_t refill;
  uint32_t multiply_accumulate;
  uint32_t address_stall;
  uint32_t load_overlap;
  uint32_t fp_result_stall;
  uint32_t unaligned;
  uint32_t exception_entry;
  uint32_t exception_return;
};

typedef void (*decode_fn)(const struct parameters *parameters, uint32_t opcode, bool wide,
                          struct timing *timing);
typedef uint32_t (*bus_read_fn)(uint32_t address, uint32_t size);
typedef void (*bus_write_fn)(uint32_t address, uint32_t size, uint32_t value);

/* The few functions of unicorn that are needed, passed in by pointer: nothing of it is
 * included or linked. */
struct engine {
  void *handle;
  int (*reg_read)(void *handle, int id, void *value);
  int (*reg_write)(void *handle, int id, const void *value);
  int (*mem_read)(void *handle, uint64_t address, void *bytes, uint64_t size);
  int (*mem_write)(void *handle, uint64_t address, const void *bytes, uint64_t size);
  int (*hook_add)(void *handle, void *hook, int type, void *callback, void *user, uint64_t begin,
                  uint64_t end, ...);
  int (*mmio_map)(void *handle, uint64_t address, uint64_t size, void *read, void *read_user,
                  void *write, void *write_user);
  int (*emu_start)(void *handle, uint64_t begin, uint64_t until, uint64_t timeout, uint64_t count);
  int (*emu_stop)(void *handle);
};

/* A stretch of addresses that is not memory. */
struct window {
  struct core *core;
  uint32_t address;
};

struct memory_timing;

struct core {
  struct engine engine;
  struct parameters parameters;
  bus_read_fn bus_read;
  bus_write_fn bus_write;

  uint64_t cycles; /* of everything before the current instruction */
  uint64_t instructions;
  uint64_t deadline;
  uint64_t instruction_limit;
  uint32_t stop_request;
  uint32_t reset_request;
  uint32_t stop;
  int32_t engine_error;
  uint32_t trap_address;
  uint32_t m4; /* 1: Cortex-M4, 0: Cortex-M0+ */

  uint32_t lowest_sp;
  uint32_t fault_address; /* of the last bad access, or the opcode's */
  uint32_t fault_pc;
  uint32_t faults;

  /* NVIC and system control block */
  uint32_t vtor;
  uint32_t cpacr;
  uint32_t ccr;
  uint32_t scr;
  uint32_t shcsr;
  uint32_t cfsr;
  uint32_t hfsr;
  uint32_t shpr[3];
  uint32_t demcr;
  uint32_t dwt_control;
  uint64_t cyccnt_base;
  uint32_t cyccnt_frozen;
  uint32_t external_reference_cycles; /* core cycles per tick of SysTick's other clock */
  uint32_t event;
  uint32_t cpuid;
  uint32_t priority_mask; /* implemented priority bits */
  uint8_t pending[EXCEPTIONS];
  uint8_t enabled[EXCEPTIONS];
  uint8_t active[EXCEPTIONS];
  uint8_t level[EXCEPTIONS]; /* asserted interrupt lines */
  uint8_t priority[EXCEPTIONS];
  uint64_t taken[EXCEPTIONS];

  uint32_t systick_control;
  uint32_t systick_reload;
  uint32_t systick_flag;
  uint64_t systick_start; /* cycle at which the counter was last reloaded */
  uint32_t systick_first; /* its value then */

  /* polling.c: the watched status register, and what is known of the loop that reads it */
  uint32_t poll_address;
  uint32_t poll_value;
  uint64_t poll_until; /* the value holds before this cycle; NO_CYCLE: until the host sends */
  uint64_t poll_cycle;
  uint32_t poll_pc;
  uint32_t poll_period;
  uint32_t idle; /* the firmware has been seen to do nothing but wait for the host */

  /* internal to the hook */
  decode_fn decode;
  struct timing *cache;
  struct timing previous;
  uint8_t **pages;
  struct window *windows[MAX_WINDOWS];
  uint64_t wake; /* the hook stops when the cycles get here */
  uint64_t systick_due;
  uint32_t pending_cycles;
  uint32_t next_address;
  uint32_t it_start;
  uint32_t it_end;
  uint32_t sp_changed;
  uint32_t rounding; /* FPSCR.RMode to put back after this instruction */
  uint32_t hook_stop;
  uint32_t trap;                /* unicorn's exception number + 1 */
  struct memory_timing *memory; /* memory_timing.c; null: zero wait states everywhere */
};

/* core.c */
struct core *core_new(int m4);
void core_free(struct core *core);
uint32_t core_size(void);
#define CORE_SPECIAL 16 /* core_register: 0-15 are R0-PC, from here on unicorn's numbers */
int core_attach(struct core *core);
int core_attach_memory(struct core *core);
void core_reset(struct core *core);
void core_run(struct core *core);
uint32_t core_register(struct core *core, int id);
void core_set_register(struct core *core, int id, uint32_t value);
void core_timing(struct core *core, uint32_t opcode, int wide, struct timing *timing);

/* bus.c */
void core_map_code(struct core *core, uint32_t address, uint32_t size, uint8_t *bytes);
int core_map_bus(struct core *core, uint32_t address, uint32_t size);

/* exceptions.c */
void exceptions_reset(struct core *core);
bool exceptions_take(struct core *core);
bool exceptions_waiting(struct core *core);
bool exceptions_wake(struct core *core);
void exceptions_raise(struct core *core, uint32_t number);
void exceptions_fault(struct core *core, uint32_t address);
void exceptions_return(struct core *core, uint32_t code);

/* system_space.c */
uint32_t system_read(struct core *core, uint32_t address);
void system_write(struct core *core, uint32_t address, uint32_t size, uint32_t value);
uint64_t systick_next(struct core *core);
void systick_update(struct core *core);

/* polling.c */
void polling_watch(struct core *core, uint32_t address, uint32_t value, uint64_t until);
void polling_end(struct core *core);
bool polling_read(struct core *core, uint32_t address, uint32_t *value);

/* cycles_m4.c, cycles_m0plus.c */
void decode_m4(const struct parameters *parameters, uint32_t opcode, bool wide,
               struct timing *timing);
void decode_m0plus(const struct parameters *parameters, uint32_t opcode, bool wide,
                   struct timing *timing);

/* unicorn's numbers (its ABI is stable within version 2) */
enum unicorn {
  UC_REG_LR = 10,
  UC_REG_PC = 11,
  UC_REG_SP = 12,
  UC_REG_FPSCR = 6,
  UC_REG_R0 = 66,
  UC_REG_S0 = 79,
  UC_REG_IPSR = 114,
  UC_REG_MSP = 115,
  UC_REG_PSP = 116,
  UC_REG_CONTROL = 117,
  UC_REG_XPSR = 120,
  UC_REG_PRIMASK = 123,
  UC_REG_BASEPRI = 124,
  UC_REG_FAULTMASK = 126,
  UC_REG_XPSR_NZCVQG = 138,
  UC_HOOK_INTR = 1,
  UC_HOOK_CODE = 4,
  UC_HOOK_MEM_READ = 1 << 10,
  UC_HOOK_MEM_WRITE = 1 << 11,
  UC_HOOK_MEM_INVALID = 1008,
};

#endif
