# Everything is in pio_extra/bootstrap.py; without make: python3 pio_extra/bootstrap.py TASK

TASKS = setup demo test lint format campaign lock clean
PYTHON ?= python3

.PHONY: help $(TASKS)

help:
	@$(PYTHON) pio_extra/bootstrap.py --help

$(TASKS):
	@$(PYTHON) pio_extra/bootstrap.py $@
