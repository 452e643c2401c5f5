"""`adapters.cmsis_nn.adapter`, the name by which the quantization guide imports the adapter.

pyproject.toml installs this folder as `adapters.cmsis_nn`; `adapters` itself
stays without an __init__.py, so that it can lie beside another distribution's package of that name.
"""

from miniml.adapters.cmsis_nn.adapter import CMSISAdapter

__all__ = ["CMSISAdapter"]
