"""A client that is closed stays closed."""

from __future__ import annotations

import pytest
from aiohttp import ClientConnectionError
from nio import DownloadError

from adapters.matrix.guard import Client
from tests.matrix_server import BOT, PASSWORD, MatrixServer


async def test_what_is_asked_of_a_closed_client_opens_no_new_connection() -> None:
    client = Client("http://127.0.0.1:9", "@timmy:localhost")
    await client.close()
    with pytest.raises(ClientConnectionError, match="closed"):
        await client.send("GET", "/")
    assert client.client_session is None


async def test_no_more_is_read_of_a_file_than_is_taken() -> None:
    async with MatrixServer() as server:
        client = Client(server.url, BOT, "DEVICE")
        await client.login(PASSWORD)
        server.give(room := server.room("Olga", ["@olga:localhost"]), "@olga:localhost", "a.bin", b"x" * 10)
        url = room.events[-1][1]["content"]["url"]
        try:
            assert await client.file(url, 10) == b"x" * 10
            assert await client.file(url, 4) == b"x" * 5
            assert isinstance(await client.file("mxc://localhost/none", 4), DownloadError)
        finally:
            await client.close()
