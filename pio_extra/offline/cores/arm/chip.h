// What the shared core needs of a chip: clock, time base, one polled UART.
#ifndef MINIML_KIT_CHIP_H
#define MINIML_KIT_CHIP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void chip_runtime_start(void);
void chip_clock_begin(void);
void chip_time_begin(void);

void chip_uart_begin(uint32_t baud);
void chip_uart_end(void);
bool chip_uart_readable(void);
uint8_t chip_uart_read(void);
bool chip_uart_writable(void);
void chip_uart_write(uint8_t value);
bool chip_uart_idle(void);

#ifdef __cplusplus
}
#endif

#endif
