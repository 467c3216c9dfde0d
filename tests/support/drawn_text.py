"""What a figure of matplotlib says."""

from matplotlib.text import Text


def texts(artist) -> list[str]:
    """Every text of a figure or of a part of it."""
    return [text.get_text() for text in artist.findobj(Text) if text.get_text()]
