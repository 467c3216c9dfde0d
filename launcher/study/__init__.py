"""A command line becomes a study; what the study lacks; claiming it."""
