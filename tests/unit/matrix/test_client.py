"""A client that is closed stays closed."""

from __future__ import annotations

import pytest
from aiohttp import ClientConnectionError

from adapters.matrix.guard import Client


async def test_what_is_asked_of_a_closed_client_opens_no_new_connection() -> None:
    client = Client("http://127.0.0.1:9", "@timmy:localhost")
    await client.close()
    with pytest.raises(ClientConnectionError, match="closed"):
        await client.send("GET", "/")
    assert client.client_session is None
