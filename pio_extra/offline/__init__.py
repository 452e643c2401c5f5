"""The offline kit: PlatformIO packages made from the system's compilers.

Serves the official platform names (`atmelavr`, `ststm32`, `raspberrypi`) where the package
registry can't be reached, and simulated boards everywhere. docs/PLATFORMIO.md describes it.
"""
