"""One process a board, across the processes and users of a machine."""
