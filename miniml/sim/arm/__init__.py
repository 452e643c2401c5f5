"""Simulated ARM boards: an STM32F405 and an RP2040 on unicorn, Linux only."""
