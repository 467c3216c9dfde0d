"""A command line becomes a study; which of its runs are missing; claiming them."""
