/* Cycle counter of the ATmega328P: Timer1 at prescale 1, its overflows counted by an interrupt
 * of known length. Register names and TOV1: data sheet DS40002061, section 15. */
#ifdef __AVR__

#include "miniml_cycles.h"

#include <avr/interrupt.h>
#include <avr/io.h>

/* 0 leaves Timer1's overflow vector to the sketch; TIME then can't measure. */
#ifndef MINIML_LINK_TIMER1
#define MINIML_LINK_TIMER1 1
#endif

#if MINIML_LINK_TIMER1

static volatile uint16_t miniml_cycles_overflows;

/* Interrupt entry 4 (section 6.7), JMP of the vector 3, then what is written here: */
#define MINIML_CYCLES_OF_OVERFLOW (4 + 3 + 24)

ISR(TIMER1_OVF_vect, ISR_NAKED) {
  __asm__ volatile("push r24 \n\t"          /* 2 */
                   "in r24, __SREG__ \n\t"  /* 1 */
                   "push r24 \n\t"          /* 2 */
                   "lds r24, %0 \n\t"       /* 2 */
                   "subi r24, 0xFF \n\t"    /* 1 */
                   "sts %0, r24 \n\t"       /* 2 */
                   "lds r24, %0 + 1 \n\t"   /* 2 */
                   "sbci r24, 0xFF \n\t"    /* 1 */
                   "sts %0 + 1, r24 \n\t"   /* 2 */
                   "pop r24 \n\t"           /* 2 */
                   "out __SREG__, r24 \n\t" /* 1 */
                   "pop r24 \n\t"           /* 2 */
                   "reti \n\t"              /* 4 */
                   :
                   : "i"(&miniml_cycles_overflows));
}

static void miniml_cycles_nothing(void) {
  __asm__ volatile("");
}

/* noinline, so that both calls are paid alike. */
__attribute__((noinline)) static uint32_t miniml_cycles_raw(void (*run)(void)) {
  miniml_cycles_overflows = 0;
  TCNT1 = 0;
  TIFR1 = _BV(TOV1);
  sei();
  TCCR1B = _BV(CS10);
  run();
  TCCR1B = 0;
  cli();
  uint32_t overflows = miniml_cycles_overflows;
  const uint32_t served = overflows * MINIML_CYCLES_OF_OVERFLOW;
  if (TIFR1 & _BV(TOV1)) {
    /* The timer ran over just as it was stopped: not served, so no cost. */
    overflows++;
  }
  return (overflows << 16) + TCNT1 - served;
}

uint32_t miniml_cycles(void (*run)(void), bool masked) {
  const uint8_t sreg = SREG;
  cli();
  const uint8_t tccr1a = TCCR1A, tccr1b = TCCR1B, timsk1 = TIMSK1;
  const uint16_t tcnt1 = TCNT1;
  const uint8_t timsk0 = TIMSK0, timsk2 = TIMSK2, pcicr = PCICR, eimsk = EIMSK, ucsr0b = UCSR0B,
                spcr = SPCR, twcr = TWCR, adcsra = ADCSRA, acsr = ACSR;
  TCCR1B = 0;
  TCCR1A = 0;
  TIMSK1 = _BV(TOIE1);
  if (masked) {
    /* Every other source of an interrupt, bit by bit: the peripherals go on. */
    TIMSK0 = 0;
    TIMSK2 = 0;
    PCICR = 0;
    EIMSK = 0;
    UCSR0B = ucsr0b & (uint8_t) ~(_BV(RXCIE0) | _BV(TXCIE0) | _BV(UDRIE0));
    SPCR = spcr & (uint8_t)~_BV(SPIE);
    TWCR = twcr & (uint8_t) ~(_BV(TWIE) | _BV(TWINT));
    ADCSRA = adcsra & (uint8_t) ~(_BV(ADIE) | _BV(ADIF));
    ACSR = acsr & (uint8_t) ~(_BV(ACIE) | _BV(ACI));
  }
  const uint32_t empty = miniml_cycles_raw(miniml_cycles_nothing);
  const uint32_t full = miniml_cycles_raw(run);
  if (masked) {
    TIMSK0 = timsk0;
    TIMSK2 = timsk2;
    PCICR = pcicr;
    EIMSK = eimsk;
    UCSR0B = ucsr0b;
    SPCR = spcr;
    TWCR = twcr & (uint8_t)~_BV(TWINT);
    ADCSRA = adcsra & (uint8_t)~_BV(ADIF);
    ACSR = acsr & (uint8_t)~_BV(ACI);
  }
  TIFR1 = _BV(TOV1);
  TIMSK1 = timsk1;
  TCNT1 = tcnt1;
  TCCR1A = tccr1a;
  TCCR1B = tccr1b;
  SREG = sreg;
  return full - empty;
}

#else

uint32_t miniml_cycles(void (*run)(void), bool masked) {
  (void)run;
  (void)masked;
  return 0xFFFFFFFFul;
}

#endif
#endif
