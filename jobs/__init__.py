"""What loads torch: bundles of cells and synthesis on a compute node, staging on any."""
