"""Which of what is attached to this machine is which board."""
