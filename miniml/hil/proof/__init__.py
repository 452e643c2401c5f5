"""What a board is made to compute, and what its answers are worth."""
