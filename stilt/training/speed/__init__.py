"""How long runs take: what was measured of a device, and what it predicts."""
