"""Made-up sentences of a few words; every tiny vocabulary and tiny task is made of them."""

import random

WORDS = "the a cat dog sat ran on under mat house big small red blue and then it was very".split()


def sentence(seed: int, length: int = 8) -> str:
    """Words drawn with a seed, with a space between two."""
    return " ".join(random.Random(seed).choices(WORDS, k=length))
