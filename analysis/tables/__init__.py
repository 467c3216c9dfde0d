"""Statistics become tables."""
