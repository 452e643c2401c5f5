"""PlatformIO runs this file as its SCons; the real one lies in an environment's packages."""

import json
import sys
from pathlib import Path

try:
    import SCons.Script.Main
except ImportError:
    # PlatformIO runs with another Python than the one that the kit was made with.
    sys.path.append(json.loads((Path(__file__).parent / "location.json").read_text("utf-8")))
    import SCons.Script.Main

SCons.Script.Main.main()
