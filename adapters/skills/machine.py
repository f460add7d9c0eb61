"""helm, machine: the state of this machine in plain words, with a judgement. Programs by name, never by arguments."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import psutil

from core.agent.skill import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.skills.job import Job

_DISK_TIGHT, _DISK_FULL = 80, 90  # percent
_MEMORY_TIGHT, _MEMORY_FULL = 80, 92  # percent
_HOT = 85  # degrees Celsius, if the sensor states no limit of its own
_TOP = 5
_ONLINE = (
    "- Skills can reach the network here: this system does not let them be cut off (it has no user namespaces for us)"
)
_GIB = 2**30
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def machine(job: Job) -> Outcome:
    """Report load, memory, disk, uptime, temperatures and the largest programs of this machine."""
    worries: list[str] = []
    lines = [
        _load(worries),
        *_memory(worries),
        _disk(job, worries),
        *_temperatures(worries),
        f"- Up for {spoken_time(time.time() - psutil.boot_time())}",
        *_programs(),
        *([] if job.is_cut_off else [_ONLINE]),
    ]
    head = f"This machine needs a look: {'; '.join(worries)}." if worries else "This machine is fine."
    return Outcome("\n".join([head, "", *lines]))


def _load(worries: list[str]) -> str:
    one, five, fifteen = os.getloadavg()
    cores = psutil.cpu_count() or 1
    judged = "idle" if five < 0.3 * cores else "busy" if five <= cores else "overloaded"
    if judged == "overloaded":
        worries.append(f"more work than its {cores} cores can do at once")
    return f"- Load {one:.1f}, {five:.1f}, {fifteen:.1f} (1, 5, 15 minutes) on {cores} cores: {judged}"


def _memory(worries: list[str]) -> Iterator[str]:
    memory = psutil.virtual_memory()
    if memory.percent >= _MEMORY_TIGHT:
        worries.append(f"memory {memory.percent:.0f} % in use{judgement(memory.percent, _MEMORY_FULL)}")
    free = memory.available / _GIB
    yield f"- Memory {memory.percent:.0f} % of {memory.total / _GIB:.1f} GiB in use, {free:.1f} GiB free"
    swap = psutil.swap_memory()
    if swap.total:
        yield f"- Swap {swap.percent:.0f} % of {swap.total / _GIB:.1f} GiB in use"


def _disk(job: Job, worries: list[str]) -> str:
    disk = psutil.disk_usage(str(job.workspace.root))
    if disk.percent >= _DISK_TIGHT:
        worries.append(f"disk {disk.percent:.0f} % full{judgement(disk.percent, _DISK_FULL)}")
    size = (disk.used + disk.free) / _GIB  # without what the system keeps for itself, which nobody else can fill
    return f"- Disk {disk.percent:.0f} % of {size:.1f} GiB in use, {disk.free / _GIB:.1f} GiB free (where the workspace lies)"


def judgement(percent: float, full: float) -> str:
    """What a worrying share calls for."""
    return ", worth freeing now" if percent >= full else ", worth watching"


def _temperatures(worries: list[str]) -> Iterator[str]:
    """The hottest sensor, where there are any: only Linux and FreeBSD tell."""
    sensors: dict[str, list[Any]] = getattr(psutil, "sensors_temperatures", dict)()
    readings = [(reading.current, reading.high or _HOT) for group in sensors.values() for reading in group]
    if readings:
        hottest, limit = max(readings)
        if hottest >= limit:
            worries.append(f"it runs hot at {hottest:.0f} °C")
        yield f"- Temperature {hottest:.0f} °C at the hottest sensor"


def _programs() -> Iterator[str]:
    """The programs with most memory. Their command lines are not read: people put passwords there."""
    memory: Counter[str] = Counter()
    number: Counter[str] = Counter()
    for process in psutil.process_iter(["name", "memory_info"]):
        if process.info["memory_info"] is not None:
            memory[process.info["name"]] += process.info["memory_info"].rss
            number[process.info["name"]] += 1
    top = (f"{name} {_of_memory(size)}{_times(number[name])}" for name, size in memory.most_common(_TOP) if size)
    yield f"- {len(psutil.pids())} processes; most memory: {', '.join(top)}"


def _of_memory(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / 2**20:.0f} MiB"


def _times(number: int) -> str:
    return f" ({number} of it)" if number > 1 else ""


def spoken_time(seconds: float) -> str:
    """A stretch of time in its two largest units."""
    days, rest = divmod(int(seconds), _DAY)
    hours, rest = divmod(rest, _HOUR)
    minutes = rest // _MINUTE
    parts = [(days, "day"), (hours, "hour"), (minutes, "minute")]
    told = [f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in parts if number]
    return " ".join(told[:2]) or "less than a minute"
