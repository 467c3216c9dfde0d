"""What runs on the login node: plan, submit, watch, cancel. Never imports torch."""
