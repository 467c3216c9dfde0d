"""What runs on a compute node: one bundle of cells, one synthesis, one evaluation."""
