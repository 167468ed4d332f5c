"""What goes wrong, injected and counted: `make faults` runs all of it, the normal tests a part of each."""
