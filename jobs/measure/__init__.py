"""Times a model on a device, for planning: several workers of it side by side."""
