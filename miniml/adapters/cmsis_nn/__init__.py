"""CMSIS-NN: the header that runs on Arm's kernels, or without them in portable C."""
