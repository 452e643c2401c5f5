#include "MiniMLLink.h"

#include "miniml_device.h"

// Bytes taken in one poll(), so that a flood on the line can't keep loop() from going on.
static const uint8_t BYTES_A_POLL = 64;
#if MINIML_DEVICE_HAS_LOADER
static const uint8_t BOOT_DELAY_MS = 20;
#endif

void MiniMLLink::begin(Stream &stream, const miniml_link_config &config) {
  miniml_device_paint_stack();
  stream_ = &stream;
  miniml_link_start(&link_, &config);
}

void MiniMLLink::poll() {
  for (uint8_t n = 0; n < BYTES_A_POLL && stream_->available() > 0; n++) {
    const miniml_link_line *const answer =
        miniml_link_receive(&link_, static_cast<char>(stream_->read()));
    if (answer == nullptr) {
      continue;
    }
    stream_->write(reinterpret_cast<const uint8_t *>(answer->bytes), answer->length);
    if (link_.reset_requested) {
      stream_->flush();
      miniml_device_reset();
    }
#if MINIML_DEVICE_HAS_LOADER
    if (link_.boot_requested) {
      stream_->flush();
      // The host fetches what a USB stream holds; the port is gone afterwards.
      delay(BOOT_DELAY_MS);
      miniml_device_boot();
    }
#endif
  }
}
