"""What the kit builds runs: uploaded by `pio run -t upload` to each simulated board."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import serial
from control_socket import control

from pio_extra.offline import kit

ROOT = Path(__file__).resolve().parent.parent
# The AVR boards run Arduino's own core, so that what they print is what the kit's must print.
SKETCH = """
#include <Arduino.h>

#ifdef ARDUINO_ARCH_AVR
static const unsigned long clock_hz = F_CPU;
#else
#define clock_hz ((unsigned long)SystemCoreClock)
#endif
static long counted = 40;
static struct Counter { Counter() { counted += 2; } } counter;

static void numbers() {
  const long values[] = {0, 1, -1, 65535, -65536, 2147483647L, (long)-2147483648L};
  for (long value : values) {
    Serial.print(value);
    Serial.print(' ');
    Serial.print(value, HEX);
    Serial.print(' ');
    Serial.print((unsigned long)value, BIN);
    Serial.print(' ');
  }
  const double reals[] = {0.0, -0.125, 2.0, 3.14159274, 65536.5, 1e9, 5e9, -5e9, NAN, -INFINITY};
  for (double value : reals) {
    Serial.print(value, 3);
    Serial.print(' ');
  }
  Serial.println(F("end"));
}

static void answer(int command) {
  if (command == 'C') {
    Serial.println(clock_hz);
  } else if (command == 'S') {
    Serial.println(counted);
  } else if (command == 'D') {
    const unsigned long milliseconds = millis(), since = micros();
    delay(50);
    Serial.print(millis() - milliseconds);
    Serial.print(' ');
    Serial.println(micros() - since);
  } else if (command == 'M') {
    // A masked millisecond is not lost where the handler runs late.
    noInterrupts();
    const unsigned long since = micros();
    while (micros() - since < 500) {
    }
    interrupts();
    Serial.println(micros() - since < 600 ? "fine" : "late");
  } else if (command == 'N') {
    numbers();
  }
}

void setup() { Serial.begin(115200); }
void loop() {
  if (Serial.available() > 0)
    answer(Serial.read());
}
"""
STM32_PINS = "-DSERIAL_UART_INSTANCE=1 -DPIN_SERIAL_TX=PA9 -DPIN_SERIAL_RX=PA10"


@dataclass(frozen=True)
class Bench:
    """How one environment is simulated."""

    platform: str
    board: str
    simulator: tuple[str, ...]
    clock_hz: int


BENCHES = {
    "uno": Bench("atmelavr", "uno", ("miniml.sim.avr", "--bootloader", "optiboot"), 16_000_000),
    "nanoatmega328": Bench(
        "atmelavr",
        "nanoatmega328",
        ("miniml.sim.avr", "--bootloader", "atmegaboot"),
        16_000_000,
    ),
    "stm32f4": Bench(
        "ststm32",
        "genericSTM32F405RG",
        ("miniml.sim.arm", "--board", "stm32f405"),
        168_000_000,
    ),
    "pico": Bench("raspberrypi", "pico", ("miniml.sim.arm", "--board", "rp2040"), 125_000_000),
}
NUMBERS = (
    "0 0 0 1 1 1 -1 FFFFFFFF 11111111111111111111111111111111 65535 FFFF 1111111111111111 "
    "-65536 FFFF0000 11111111111111110000000000000000 "
    "2147483647 7FFFFFFF 1111111111111111111111111111111 "
    "-2147483648 80000000 10000000000000000000000000000000 "
    "0.000 -0.125 2.000 3.142 65536.500 1000000000.000 ovf ovf nan inf end"
)


def build(project: Path, env: str, bench: Bench) -> None:
    (project / "src").mkdir(parents=True)
    (project / "src" / "main.cpp").write_text(SKETCH, encoding="utf-8")
    flags = f"build_flags = {STM32_PINS}\n" if env == "stm32f4" else ""
    (project / "platformio.ini").write_text(
        f"[env:{env}]\nplatform = {bench.platform}\nboard = {bench.board}\n"
        f"framework = arduino\n{flags}",
        encoding="utf-8",
    )
    kit.prepare(project / "core")
    pio(project, "-e", env)


def pio(project: Path, *arguments: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "platformio", "run", "-d", str(project), *arguments],
        env={**os.environ, "PLATFORMIO_CORE_DIR": str(project / "core")},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@contextlib.contextmanager
def simulated(bench: Bench, state: Path) -> Iterator[None]:
    module, *options = bench.simulator
    with (
        subprocess.Popen(
            [sys.executable, "-m", module, *options, "--state", str(state)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        try:
            # An unflashed board of either kind says what it is waiting with.
            wait_for(lambda: (state / "port").exists() or (state / "RPI-RP2").exists())
            yield
        finally:
            control(state, "quit")
            process.communicate(timeout=60)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the simulated board did not get there"
        time.sleep(0.02)


def upload(project: Path, env: str, state: Path) -> None:
    if env == "stm32f4":
        control(state, "boot0 1")
        control(state, "reset")
    port = state / ("RPI-RP2" if env == "pico" else "port")
    pio(project, "-e", env, "-t", "nobuild", "-t", "upload", "--upload-port", str(port))
    if env == "stm32f4":
        control(state, "boot0 0")
        control(state, "reset")
    wait_for((state / "port").exists)


def ask(port: serial.Serial, command: bytes) -> str:
    port.write(command)
    return str(port.readline(), "ascii").rstrip("\r\n")


@pytest.mark.parametrize("env", BENCHES)
def test_a_kit_build_is_uploaded_and_runs(env: str, tmp_path: Path) -> None:
    bench = BENCHES[env]
    project, state = tmp_path / "ein Gerät", tmp_path / "state"
    build(project, env, bench)
    with simulated(bench, state):
        upload(project, env, state)
        with serial.Serial(str(state / "port"), 115200, timeout=60) as port:
            # An AVR board was reset by the opening, and its bootloader waits a second or two.
            end = time.monotonic() + 60
            port.timeout = 0.3
            while ask(port, b"S") != "42":
                assert time.monotonic() < end, "the sketch is silent"
            # The answers to questions that were asked meanwhile.
            port.timeout = 1
            while port.read(100):
                pass
            port.timeout = 60
            assert int(ask(port, b"C")) == bench.clock_hz
            milliseconds, microseconds = map(int, ask(port, b"D").split())
            # The AVR core counts in steps of 1.024 ms.
            assert abs(milliseconds - 50) <= 2
            assert 50_000 - 1_100 <= microseconds <= 51_100
            assert ask(port, b"M") == "fine"
            assert ask(port, b"N") == NUMBERS
        status = control(state, "status")
        assert status["running"]
        assert status["faults"] == 0
