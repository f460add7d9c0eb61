"""What `timmy doctor` says of Docker, where the settings say what image or which network agents in containers have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.findings import check, refused
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.findings import Finding
    from config.settings import Settings

_IDS = {"no_image": "docker.image", "bad_image": "docker.image", "no_public_url": "docker.network"}
"""The checks that fail by an error of this code; by any other, `docker.answers` does."""


async def ask_docker(settings: Settings) -> str | HubError | None:
    """Its version, empty where no image is set; or why it can begin no agents. None where there is no network to look at either."""
    image = settings.docker.image
    if image is None and settings.docker.network == "none":
        return None
    from bot.parts.boxes import look_at_docker  # noqa: PLC0415 - where there is one

    try:
        return await look_at_docker(settings, image)
    except HubError as error:
        return error


def docker(settings: Settings, asked: str | HubError | None) -> Iterator[Finding]:
    """Whether it answers, has the image, and agents on its network find the hub."""
    if isinstance(asked, HubError):
        yield refused(_IDS.get(asked.code, "docker.answers"), asked)
    elif asked is not None:
        if asked:
            yield check("docker.answers", f"version {asked} at {settings.docker.url}")
            yield check("docker.image", f"{settings.docker.image} is there")
        yield check("docker.network", f"agents find the hub from {settings.docker.network}")
