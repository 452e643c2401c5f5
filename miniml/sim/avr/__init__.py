"""The simulated ATmega328P: an Uno or a Nano behind a PTY, flashed by the real avrdude.

`python -m miniml.sim.avr --state DIR --bootloader optiboot|atmegaboot [--pace realtime|free]`
compiles `runner/*.c` on first use and becomes that program (docs/SIMULATOR_AVR.md has its habits):

- prints `ready <pty>` once the board can be used; `DIR/port` is a link to that PTY;
- `DIR/control` is a Unix stream socket, one command a line, one JSON object a line back: `status`,
  `reset`, `power off`, `power on`, `pace realtime`, `pace free`, `bss_end N`, `quit`;
- `DIR/flash.bin` and `DIR/eeprom.bin` keep what the chip keeps;
- ends on `quit`, SIGTERM, SIGINT, or when its parent process is gone.

`miniml.sim.avr.batch` runs a program without a board, for timing tests and cycle calibration.
"""
