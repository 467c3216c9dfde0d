"""How far runs lie apart, and what that hides: variance, flipped answers, power."""
