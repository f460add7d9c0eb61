"""A whole worker on Python's standard library alone, for images that have nothing else: it repeats what it is asked.

`grow ...` takes memory until none is left; `quit ...` ends with 3.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

NAME = os.environ["TIMMY_WORKER_NAME"]
TOKEN = Path(os.environ["TIMMY_WORKER_TOKEN_FILE"]).read_text(encoding="utf-8")
HUB = os.environ["TIMMY_HUB_URL"]


class Local(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(HUB.removeprefix("unix://"))


def ask(method: str, path: str, **body: Any) -> Any:
    """One request, until it is answered; None where there is nothing."""
    while True:
        try:
            return asked(method, path, body)
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)  # noqa: TID251 - the hub is away


def asked(method: str, path: str, body: dict[str, Any]) -> Any:
    hub = Local("localhost") if HUB.startswith("unix://") else http.client.HTTPConnection(HUB.partition("://")[2])
    text = json.dumps(body) if body else None
    hub.request(method, f"/internal/{path}", text, {"Authorization": f"Bearer {TOKEN}"})
    answer = hub.getresponse()
    raw = answer.read()
    if answer.status >= 400:
        sys.exit(f"the hub says {answer.status}: {raw.decode()}")
    return json.loads(raw) if raw else None


def main() -> None:
    ask("POST", "agents", name=NAME, capabilities=os.environ.get("TIMMY_WORKER_CAPABILITIES", "any").split(","))
    print(f"{NAME} has enrolled", flush=True)
    while True:
        for task in ask("GET", "tasks?wait=1") or ():
            ask("POST", "bids", task_id=task["task_id"], agent_id=NAME, bid_sats=25)
        given = ask("GET", f"assignments?agent_id={NAME}&wait=1")
        if given is None:
            continue
        place, lease = f"tasks/{given['task_id']}", given["lease_token"]
        ask("POST", f"{place}/heartbeat", lease_token=lease)
        print(f"{NAME} does {given['task_id']}", flush=True)
        if given["description"].startswith("grow"):
            kept = []
            while True:
                kept.append(bytes(range(256)) * 4096)
        if given["description"].startswith("quit"):
            sys.exit(3)
        ask("POST", f"{place}/result", lease_token=lease, result=f"{NAME} did {given['description']}")


main()
