"""Benchmarks: cycles on simulated cores, side by side in one run, never timed by a wall clock."""
