"""Frames become statistics."""
