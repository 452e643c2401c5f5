// Runs an AVR program on npm's avr8js (MIT) and writes (pc, cycle) of every instruction.
//
// usage: node campaign_avr8js.mjs AVR8JS_MODULE IMAGE CYCLES TRACE RECEIVE_HEX RECEIVE_AT
//
// avr8js 0.21 differs from the data sheet (DS40002061B) in these points, which are mended here:
// - interrupt entry takes 2 cycles instead of 4 (7.7.1);
// - an interrupt comes right after SEI, RETI or OUT SREG instead of one instruction later (7.7);
// - its USART has neither a transmit buffer nor a receive buffer (20.6, 20.7): replaced below;
// - a prescaler starts with its timer instead of running all the time (17.1).
import fs from "node:fs";
import { createRequire } from "node:module";

const [modulePath, imageFile, cycleText, traceFile, receiveHex, receiveAt] = process.argv.slice(2);
const { CPU, AVRTimer, timer0Config, timer1Config, timer2Config, avrInstruction } =
  createRequire(import.meta.url)(modulePath);

const program = new Uint16Array(0x4000).fill(0xffff);
new Uint8Array(program.buffer).set(fs.readFileSync(imageFile));
const cpu = new CPU(program, 0x800);
const timers = [timer0Config, timer1Config, timer2Config].map((one) => new AVRTimer(cpu, one));

const [UCSRA, UCSRB, UBRRL, UBRRH, UDR, SREG] = [0xc0, 0xc1, 0xc4, 0xc5, 0xc6, 95];
const RXC = { address: 0x24, flagRegister: UCSRA, flagMask: 0x80, enableRegister: UCSRB,
  enableMask: 0x80, constant: true };
const UDRE = { address: 0x26, flagRegister: UCSRA, flagMask: 0x20, enableRegister: UCSRB,
  enableMask: 0x20, constant: true };
const TXC = { address: 0x28, flagRegister: UCSRA, flagMask: 0x40, enableRegister: UCSRB,
  enableMask: 0x40 };
const queue = [...Buffer.from(receiveHex, "hex")];
const usart = { shifting: false, waiting: null, received: [], last: 0 };
cpu.data[UCSRA] = 0x20;

const bit = () => ((cpu.data[UBRRH] << 8 | cpu.data[UBRRL]) + 1) * (cpu.data[UCSRA] & 2 ? 8 : 16);
const at = (cycle, callback) => cpu.addClockEvent(callback, cycle - cpu.cycles);

function sent(end) {
  if (usart.waiting === null) {
    usart.shifting = false;
    cpu.setInterruptFlag(TXC);
    return;
  }
  usart.waiting = null;
  cpu.setInterruptFlag(UDRE);
  at(end + 10 * bit(), () => sent(end + 10 * bit()));
}

cpu.writeHooks[UDR] = (value) => {
  if (!(cpu.data[UCSRA] & 0x20) || !(cpu.data[UCSRB] & 8)) return true;
  if (usart.shifting) {
    usart.waiting = value;
    cpu.clearInterrupt(UDRE);
  } else {
    usart.shifting = true;
    const end = cpu.cycles + 2 + 10 * bit(); // the STS began at cpu.cycles
    at(end, () => sent(end));
  }
  return true;
};
cpu.readHooks[UDR] = () => {
  if (usart.received.length) usart.last = usart.received.shift();
  if (usart.received.length === 0) cpu.clearInterrupt(RXC);
  return usart.last;
};
cpu.writeHooks[UCSRA] = (value) => {
  if (value & 0x40) cpu.clearInterrupt(TXC);
  cpu.data[UCSRA] = (cpu.data[UCSRA] & ~3) | (value & 3);
  return true;
};
cpu.writeHooks[UCSRB] = (value) => {
  for (const interrupt of [RXC, UDRE, TXC]) cpu.updateInterruptEnable(interrupt, value);
  cpu.data[UCSRB] = value;
  return true;
};

let start = null; // of the frame that comes in
function receive() {
  const stored = start + 9.5 * bit();
  at(Math.floor(stored), () => {
    usart.received.push(queue.shift());
    cpu.setInterruptFlag(RXC);
    start += 10 * bit();
    if (queue.length) receive();
  });
}

const dividers = [0, 0, 0];
function alignPrescalers() {
  timers.forEach((timer, index) => {
    if (timer.divider === dividers[index]) return;
    dividers[index] = timer.divider;
    if (timer.divider <= 1) return;
    timer.lastCycle -= timer.lastCycle % timer.divider;
    cpu.updateClockEvent(timer.count, timer.lastCycle + timer.divider - cpu.cycles);
  });
}

const end = Number(cycleText);
const trace = new Uint32Array(2 * end);
let count = 0;
while (cpu.cycles < end) {
  if (start === null && queue.length && cpu.cycles >= Number(receiveAt)) {
    start = cpu.cycles;
    receive();
  }
  trace[2 * count] = cpu.pc * 2;
  trace[2 * count + 1] = cpu.cycles;
  count++;
  const before = cpu.data[SREG];
  avrInstruction(cpu);
  const justEnabled = !(before & 0x80) && cpu.data[SREG] & 0x80;
  if (justEnabled) cpu.data[SREG] &= 0x7f;
  const [pc, cycles] = [cpu.pc, cpu.cycles];
  while (cpu.nextClockEvent && cpu.nextClockEvent.cycles <= cpu.cycles && cpu.pc === pc) cpu.tick();
  if (cpu.pc === pc) cpu.tick();
  if (justEnabled) cpu.data[SREG] |= 0x80;
  else if (cpu.pc !== pc) cpu.cycles = cycles + 4;
  alignPrescalers();
}
fs.writeFileSync(traceFile, new Uint8Array(trace.buffer, 0, 8 * count));
const hex = (from, to) => Buffer.from(cpu.data.slice(from, to)).toString("hex");
console.log(JSON.stringify({ registers: hex(0, 32), sram: hex(0x100, 0x900) }));
