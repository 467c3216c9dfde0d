"""What is missing, and what may be compared."""
