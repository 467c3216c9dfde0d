"""A study for its readers: one HTML page, and a bundle for reviewers."""
