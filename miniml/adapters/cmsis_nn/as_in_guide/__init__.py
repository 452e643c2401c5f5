"""Installed as `adapters.cmsis_nn`; see adapter.py beside this file."""
