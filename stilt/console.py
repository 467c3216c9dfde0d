"""The console that every command prints on."""

from rich.console import Console

from stilt.stdout import discard


class Output(Console):
    """A console that goes on without its reader; rich would end the program, its runs and all."""

    def on_broken_pipe(self) -> None:
        """Prints to nowhere from here on."""
        discard()
