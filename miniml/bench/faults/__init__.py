"""Faults injected between the harness's session and the firmware's link: `miniml bench faults`."""
