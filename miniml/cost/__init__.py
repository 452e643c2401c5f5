"""What a model will take on a board, from the model alone: no compiler is asked.

Flash and SRAM of the model's constants and buffers are counted; what the rest of the firmware
takes, the stack and the cycles come from measurements recorded for a toolchain in
`calibration.json` (`python -m miniml.cost.calibrate` makes them). Without a record for the
toolchain, cycles and stack are not foretold.
"""

from miniml.cost.foretelling import Cost, LayerCost, foretell

__all__ = ["Cost", "LayerCost", "foretell"]
