"""The conversation with a board: lines, retries, the open port."""
