"""Which names are closed: what says secret anywhere in it, and no more than that."""

from __future__ import annotations

import pytest

from adapters.skills.closed import why_closed


@pytest.mark.parametrize(
    "name",
    [
        "client_secret_123.apps.json",
        "application_default_credentials.json",
        "aws_credentials.txt",
        "new_user_credentials.csv",
        "db_password.txt",
        "my passwords 2024.xlsx",
        "dbpasswd",
        "old-passphrase.txt",
        "private_key.txt",
        "PrivateKey.txt",
        "github_token.txt",
        "tokens.json",
        "token",
        "rootkey.csv",
        "user_accessKeys.csv",
        "openai-api-key.txt",
        "APIKEYS.txt",
        "my_mnemonic.txt",
        "btc seed phrase.docx",
        "recovery-codes.txt",
        "admin_macaroon.txt",
        "backup.id_rsa.txt",
        "my-service-account.json",
        "secrets",
        "secrets2.yaml",
        "wallet.dat",
        "undersecretary-secrets.md",
        "db\N{FULLWIDTH LOW LINE}p\N{FULLWIDTH LATIN SMALL LETTER A}ssword.txt",
    ],
)
def test_a_name_that_says_secret_anywhere_is_closed(name: str) -> None:
    assert why_closed(name) == "its name says that it holds secrets"


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.py",
        "tokenization.txt",
        "tokenomics.csv",
        "tokens-and-money.md",
        "secretary.md",
        "the-secretariat.txt",
        "passwordless.md",
        "keyboard.txt",
        "master keyboard shortcuts.md",
        "api.md",
        "private.md",
        "keys-of-the-piano.txt",
        "monkey.txt",
        "seeds.csv",
        "my-wallet-in-words.md",
        "passenger.csv",
        "account.json",
    ],
)
def test_a_name_that_only_looks_like_it_stays_open(name: str) -> None:
    assert why_closed(name) == ""
