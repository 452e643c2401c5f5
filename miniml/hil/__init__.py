"""The harness: finds a board, flashes it, and proves what it computes (docs/HARNESS.md)."""
