"""One neutral rich text (`Rich`) from replies and Markdown, to Telegram's HTML, a terminal and speech.

The rooms: `rich` holds the text, `markdown` and `grammar` read a model's Markdown, `html` and `cut` serve Telegram,
`speech` a voice.
"""

from adapters.markup.cut import cut
from adapters.markup.html import html
from adapters.markup.markdown import of, read
from adapters.markup.rich import Rich, pieces
from adapters.markup.speech import speech, whole

__all__ = ["Rich", "cut", "html", "of", "pieces", "read", "speech", "whole"]
