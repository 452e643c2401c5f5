#include "MiniMLLink.h"

#include <miniml.h>

#include "miniml_cycles.h"
#include "miniml_stack.h"

static uint32_t miniml_link_clock;

#if defined(__arm__)
/* Both ARM cores keep the running clock there (CMSIS); a board file's F_CPU may differ. */
extern "C" uint32_t SystemCoreClock;
#endif

static uint32_t miniml_link_clock_hz() {
#if defined(__arm__)
  return SystemCoreClock;
#else
  return miniml_link_clock;
#endif
}

#if defined(__arm__)
static void miniml_link_reset() {
  /* AIRCR.SYSRESETREQ with its key (ARMv6-M ARM, B3.2.6). */
  *reinterpret_cast<volatile uint32_t *>(0xE000ED0Cu) = 0x05FA0004u;
  for (;;) {
  }
}
#define MINIML_LINK_RESET miniml_link_reset
#else
/* An AVR is reset by DTR; a watchdog reset would lock up behind the Nano's old bootloader. */
#define MINIML_LINK_RESET nullptr
#endif

static const miniml_link_board miniml_link_this_board = {miniml_link_clock_hz, miniml_cycles,
                                                         miniml_stack_used, miniml_stack_untouched,
                                                         MINIML_LINK_RESET};

MiniMLLink::MiniMLLink(Stream &stream, const miniml_link_model &model, uint32_t clock_hz)
    : stream_(stream), model_(model), link_() {
  miniml_link_clock = clock_hz;
}

void MiniMLLink::begin() {
  miniml_stack_paint();
  miniml_link_start(&link_, &model_, &miniml_link_this_board);
  stream_.println(F("MiniML link 1"));
}

void MiniMLLink::poll() {
  while (stream_.available() > 0) {
    const uint8_t length = miniml_link_receive(&link_, static_cast<char>(stream_.read()));
    if (length != 0) {
      stream_.write(reinterpret_cast<const uint8_t *>(link_.answer), length);
      if (link_.reset_after_answer) {
        stream_.flush();
        miniml_link_this_board.reset();
      }
    }
  }
}
