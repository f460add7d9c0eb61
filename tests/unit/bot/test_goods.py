"""What was bought, as its buyer reads it: whatever a server sends, it is text or a file, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from bot.goods import delivered, question
from core.chat import Mark, Style
from core.ports import Page
from core.wallet.buying import Asks, Bought
from core.wallet.goods import SHOWN, Goods, goods
from core.wallet.purchase import Purchase, State

SITE = "https://shop.example:8402/page?key=hunter2"
PURCHASE = Purchase(
    1, "k", "user:a", SITE, SITE, "L402", "t", "ln", b"\x01" * 32, 100_500, 0, State.USED, 0, b"\x02" * 32
)


def page(body: bytes, kind: str = "text/plain", charset: str = "") -> Page:
    return Page(200, SITE, kind, charset, body)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (page(b" caf\xc3\xa9\n\ttab "), "café\n\ttab"),
        (page(b"caf\xe9", charset="ISO-8859-1"), "café"),
        (page(b"\x1b[2Jcleared\x07\x9b".replace(b"\x9b", b"\xc2\x9b")), "[2Jcleared"),
        (page("pay \u202eevil\u2066 \u200bnow".encode()), "pay evil now"),
        (page(b'{"a": 1}', "application/problem+json"), '{"a": 1}'),
        (page(b"who knows", ""), "who knows"),
        (page(b"", "text/html"), ""),
    ],
)
def test_text_is_shown_without_what_is_obeyed_or_unseen(given: Page, text: str) -> None:
    assert goods(given, "shop.example:8402") == Goods(text, "")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (page(b"%PDF-", "application/pdf"), "shop.example-8402.pdf"),
        (page(b"\xff\xfe\x00", "text/plain"), "shop.example-8402.txt"),
        (page(b"a\0b", ""), "shop.example-8402.bin"),
        (page(b"a" * 9, charset="zlib_codec"), "shop.example-8402.txt"),
        (page(b"a" * 9, charset="punycode"), "shop.example-8402.txt"),
        (page(b"a" * 9, charset="iso-8859-99"), "shop.example-8402.txt"),
        (page(b"MZ", "application/x-msdownload; name=../../a.exe"), "shop.example-8402.bin"),
    ],
)
def test_what_is_no_text_is_a_file(given: Page, name: str) -> None:
    assert goods(given, "shop.example:8402") == Goods("", name)


def test_a_long_text_is_cut_and_a_file_besides() -> None:
    assert goods(page(b"a" * SHOWN), "shop") == Goods("a" * SHOWN, "")
    assert goods(page(b"a" * (SHOWN + 1)), "shop") == Goods("a" * SHOWN + "…", "shop.txt")
    assert goods(page(b"a" * (SHOWN + 1), ""), "[::1]:8") == Goods("a" * SHOWN + "…", "1-8.txt")
    assert goods(page(b"\xff"), "…").file == "page.txt"


async def test_the_price_the_seller_and_the_page() -> None:
    kept: list[tuple[str, bytes]] = []

    async def keep(name: str, content: bytes) -> str:
        kept.append((name, content))
        return f"/kept/{name}"

    bought = Bought(page(b"**Click** <b>here</b>"), PURCHASE)
    reply = await delivered(bought, keep, simulated=True)
    head = "From shop.example:8402, for 101 sats (simulated):"
    assert reply.text == f"{head}\n**Click** <b>here</b>"
    assert reply.marks == (Mark(len(head) + 1, len(reply.text), Style.PRE),)
    assert (reply.markdown, reply.files, reply.data["price_sats"]) == (False, (), 101)
    assert "hunter2" not in repr(reply)
    before = await delivered(bought._replace(before=True), keep, simulated=False)
    assert before.text.startswith("From shop.example:8402, with a token that was paid for before:\n")
    picture = await delivered(Bought(page(b"\x89PNG", "image/png")), keep, simulated=False)
    assert (picture.text, picture.marks) == ("From shop.example:8402, at no cost:", ())
    assert [(file.name, file.path) for file in picture.files] == [
        ("shop.example-8402.png", "/kept/shop.example-8402.png")
    ]
    assert kept == [("shop.example-8402.png", b"\x89PNG")]
    assert (await delivered(Bought(page(b"")), keep, simulated=False)).text.endswith("at no cost:\n(nothing)")


def test_the_question_names_price_and_seller() -> None:
    assert question(Asks(PURCHASE), simulated=False) == "This costs 101 sats from shop.example:8402. Pay it?"
    assert question(Asks(PURCHASE), simulated=True).endswith(" The sats are simulated. Pay it?")


async def test_a_page_that_is_read_holds_nobody_up() -> None:
    others: list[str] = []

    async def keep(name: str, body: bytes) -> str:
        return name

    asyncio.get_running_loop().call_soon(others.append, "were served meanwhile")
    await delivered(Bought(page(b"a " * 1000)), keep, simulated=False)
    assert others
