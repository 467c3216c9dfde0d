"""This machine's own pool of workers."""
