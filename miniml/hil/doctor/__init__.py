"""What keeps a board from being used on this machine, and what to do about it."""
