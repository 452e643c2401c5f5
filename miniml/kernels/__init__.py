"""Generated kernels: a module a core, each turning a QuantizedModel into exact assembly."""
