"""Files, console, signals, units."""
