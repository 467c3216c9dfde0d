"""What is on disk for each run, and who holds it."""
