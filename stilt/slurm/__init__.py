"""SLURM's commands and words, for the launcher and for jobs."""
