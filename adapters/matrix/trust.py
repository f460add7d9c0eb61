"""Whether a message is from whom it says, and what to doubt where that is not sure. Rules only; ../shared/MATRIX-TRUST.md says why.

`first-use`: whoever's keys were met first is believed, and a change is told. `verified`: who spends must have been compared too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.messages import Pin

if TYPE_CHECKING:
    from adapters.matrix.signing import Claims

Mode = Literal["first-use", "verified"]

PLAIN = "this room is not encrypted, so I cannot be sure that it is you. Ask me in an encrypted one."
REACTION = "Matrix does not encrypt reactions, so I cannot be sure that it is you. Write the command instead."
CLEAR = "it came in clear, and this room is encrypted: anybody on the way could have written it. Send it encrypted."
FORGED = "the session that wrote it is none of yours, as your server says."
CHANGED = "your Matrix identity is not the one that I know. If that was you, have the hub's owner verify you (docs/matrix.md)."
FOREIGN = "this session of yours is not signed by your identity. Verify it in your Matrix client, then ask again."
UNKNOWN = (
    "I did not know this session when we met, and your account has no cross-signing. Set it up in your Matrix client."
)
UNKNOWABLE = "your server does not say whose key that is. Ask again in a while."
UNVERIFIED = "we have not verified each other yet. Start a verification with me in your Matrix client."


def met(claims: Claims) -> Pin:
    """What is kept of somebody whose keys are seen for the first time."""
    return Pin(claims.identity, frozenset() if claims.identity else claims.devices)


def grown(pin: Pin, claims: Claims) -> Pin:
    """Somebody without an identity who gets one stays who they are, if it and a device that was known have signed each other."""
    known = pin.devices & claims.endorsing & claims.vouched
    return pin._replace(identity=claims.identity, devices=frozenset()) if not pin.identity and known else pin


def doubt(mode: Mode, pin: Pin, claims: Claims, device: str) -> str:
    """Why a message of a device (its Ed25519 key) may not be its sender's; empty if it is. `pin` is what is kept of the sender."""
    if pin.identity:
        if claims.identity != pin.identity:
            return CHANGED
        if device not in claims.vouched:
            return FOREIGN
    elif device not in pin.devices & claims.devices:
        return UNKNOWN
    return UNVERIFIED if mode == "verified" and pin.verified is None else ""
