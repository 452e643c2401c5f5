"""What `make` does: system packages, the virtual environment, the offline kit, the tasks.

Standard library only, because it runs before anything is installed.
"""
