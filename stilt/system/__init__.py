"""Files, wheels, console, signals, units, and how a command ends."""
