# PlatformIO's custom runner is no pytest module, though PlatformIO dictates its name.
collect_ignore = ["test_custom_runner.py"]
