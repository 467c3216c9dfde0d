"""What SLURM says of jobs, and what follows for claims."""
