"""A study's jobs: which submit sent them, whether they live, why they ended, how to end them."""
