"""Times a model on a device for planning: ``python -m jobs.measure.calibrate REQUEST.json``."""
