"""Further channels of the owners' (a phone, a mailbox, another chat), by Apprise."""
