"""What a text says apart from its figures, by which two reports of one condition are alike.
Used by the status line, which tells a repeated line once, and by the cameras, which report another condition at once.
"""

import re

_FIGURE = re.compile(r"\d+(?:\.\d+)?")


def without_figures(text: str) -> str:
    """The text with `#` for each of its numbers."""
    return _FIGURE.sub("#", text)
