// Second stage bootloader: the ROM copies these 256 bytes to SRAM and runs them. It makes
// flash readable at 0x10000000 (plain 03h reads, which every serial flash understands),
// then starts the image behind it. RP2040 datasheet, 2.8.1 and 4.10.13 (SSI registers).
  .syntax unified
  .cpu cortex-m0plus
  .thumb
  .section .text, "ax"
  .global _start
_start:
  ldr  r0, =0x18000000      // XIP_SSI
  movs r1, #0
  str  r1, [r0, #0x08]      // SSIENR: off while configuring
  movs r1, #4
  str  r1, [r0, #0x14]      // BAUDR: clk_sys / 4
  ldr  r1, =0x001F0300      // CTRLR0: 32-bit frames, EEPROM read
  str  r1, [r0, #0x00]
  movs r1, #0
  str  r1, [r0, #0x04]      // CTRLR1: one frame a read
  ldr  r1, =0x03000218      // SPI_CTRLR0: command 03h, 8-bit command, 24-bit address
  ldr  r2, =0x180000F4
  str  r1, [r2]
  movs r1, #1
  str  r1, [r0, #0x08]      // SSIENR: on
  ldr  r0, =0x10000100      // the image's vector table
  ldr  r1, =0xE000ED08      // VTOR
  str  r0, [r1]
  ldr  r1, [r0]
  ldr  r0, [r0, #4]
  msr  msp, r1
  bx   r0
  .pool
