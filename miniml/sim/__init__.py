"""Simulated boards: separate processes that own a serial port (a PTY) like real ones."""
