"""How long runs take: what makes training faster and changes no bit, and what predicts it."""
