"""QR codes as PNG pictures, for what a phone's wallet scans."""

from __future__ import annotations

import io


def png(text: str) -> bytes:
    """A picture of `text`."""
    import segno  # noqa: PLC0415 - for the first who asks

    picture = io.BytesIO()
    segno.make(text, error="l", micro=False).save(picture, kind="png", scale=6, border=4)
    return picture.getvalue()
