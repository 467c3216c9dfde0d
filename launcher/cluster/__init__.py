"""What a cluster is asked for, and what it allows."""
