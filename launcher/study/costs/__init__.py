"""What runs cost before they run: seconds by a calibration, and what fits a budget of hours."""
