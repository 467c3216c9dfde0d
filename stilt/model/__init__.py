"""Where weights come from, and what a model carries over."""
