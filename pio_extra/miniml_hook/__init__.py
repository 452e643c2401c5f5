"""What the two PlatformIO scripts of MiniML are made of.

Standard library only and readable by an old Python: these modules run inside PlatformIO's
own interpreter, which may know nothing of numpy. Everything that needs packages happens
in `python -m miniml.build`, in a process of its own.
"""
