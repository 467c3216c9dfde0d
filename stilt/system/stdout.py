"""Standard output whose reader may have enough: ``head`` closes the pipe, the command goes on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def discard() -> None:
    """Sends to nowhere what is still printed, and what is still buffered."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def while_read() -> Iterator[None]:
    """Ends what is printed within, without complaint, once its reader has enough."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # what is still buffered would be written, and complained of, when the process exits
        discard()
