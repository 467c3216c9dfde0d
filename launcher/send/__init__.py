"""Bundles become job arrays in SLURM's queue."""
