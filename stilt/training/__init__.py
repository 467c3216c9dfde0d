"""The mathematics of fine-tuning and of scores."""
