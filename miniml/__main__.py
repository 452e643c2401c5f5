"""python -m miniml is the miniml command."""

import sys

from miniml.cli import main

sys.exit(main())
