"""Where a board is, and how one process has it alone."""
