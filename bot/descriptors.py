"""File descriptors: each worker that waits for work takes one, of the hub or of a gateway."""

from __future__ import annotations

import resource

FILES = 65_536
"""File descriptors that a process takes at most."""


def many_files() -> None:
    """As many file descriptors as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or hard > soft):
        most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
