"""SynthesisGPT2: rows that a language model writes."""
