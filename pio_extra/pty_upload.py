"""PlatformIO post: script: lets the official AVR builder upload to a simulated board.

Before avrdude that builder "flushes" the port by moving DTR and RTS
(platformio/builder/tools/pioupload.py, FlushSerialBuffer), which a pseudo-terminal answers
with ENOTTY. avrdude moves them itself, and takes no for an answer.
"""

import os

Import("env")

if os.path.realpath(env.subst("$UPLOAD_PORT")).startswith("/dev/pts/"):
    env.BoardConfig().update("upload.disable_flushing", True)
