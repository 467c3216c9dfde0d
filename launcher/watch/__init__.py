"""A study as people see it."""
