"""A class at work: thirty and a hundred people on one server while a training runs, and what each screen costs.

The people are Streamlit's own protocol without browsers (`tabs.py`), from a process beside the app's. Processor time is
the app process' own and hardly depends on what else the machine does; waits do. For the memory of a long lesson:
`python -m benchmarks.load --people 30 --minutes 30`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from benchmarks import report
from benchmarks.browser import serving
from benchmarks.processes import GB, MB, taken
from benchmarks.report import Row, at_most, say, told
from benchmarks.tabs import Tab, tab

PAGES = ("", "Data", "Train", "Compare", "Inspect", "Embeddings", "Initialisation")
SLIDERS = {  # of each page, the one that is moved; the other pages are drawn again as they are
    "Data": "Images of each class",
    "Train": "Hidden layers",
    "Compare": "Seeds",
    "Inspect": "Epoch",
    "Initialisation": "Factor of each layer, n Var[W]",
}
RERUN_MS, LOOK_MS, SLOPE_MB = 60, 15, 1.0
WAITS = {30: (0.5, 2.0), 100: (1.5, None)}  # people: seconds of a rerun (95 %), of the first page for all at once
LESSON = 3.0  # minutes
STORED = "units=64&training_fraction=0.1&epochs=4"
TRAINED = "training_fraction=1&epochs=8"  # what is trained during a lesson, again and again with another seed
LONG = "epochs=200"
THINKS = (2.0, 8.0)  # seconds between two moves of a person
WATCHES = 10.0  # seconds
WATCHERS = 10
LIMIT = 2 * 2**30  # bytes of memory for the app and its workers
CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))
EARLY = 1 / 3  # of a lesson, in which caches fill: its memory does not count


@dataclass
class Lesson:
    """What is noted. reruns: seconds; memory: (minutes, bytes)."""

    ends: float
    reruns: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    trainings: list[float] = field(default_factory=list)  # seconds
    errors: list[str] = field(default_factory=list)
    seed: int = 0  # of the training that is under way

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.ends


def rows(quick: bool) -> Iterator[Row]:
    """What screens cost, then the lessons."""
    with tempfile.TemporaryDirectory(prefix="lab-load-") as name:
        folder = Path(name)
        yield from _costs(folder / "costs", 3 if quick else 20)
        for people in (3,) if quick else WAITS:
            yield from lesson(folder / str(people), people, 0.2 if quick else LESSON)


# --- One person -------------------------------------------------------------------------------------------------------


def _costs(folder: Path, repeats: int) -> Iterator[Row]:
    """Processor time of the app for a rerun of each page, and for a look at what has no news."""
    with serving(folder) as server:
        for page, spent in asyncio.run(_reruns(server.url, server.root.pid, repeats)).items():
            yield at_most(f"processor time of a rerun, {page or 'Home'}", 1000 * spent, "ms", RERUN_MS)
        for name, spent, looks in asyncio.run(_looks(server.url, server.root.pid, 4.0 * repeats**0.5)):
            limit = LOOK_MS if name == "waits" else None  # what waits has no news
            yield _target(f"processor time of a look, training {name}", 1000 * spent, "ms", limit, f"{looks} looks")


async def _reruns(url: str, app: int, repeats: int) -> dict[str, float]:
    """Seconds of processor time, by page; after a visit, so that the app's caches are filled."""
    async with tab(url) as person:
        await _prepare(person)
        found = {}
        for page in PAGES:
            await person.open(page)
            await person.watch(WATCHES * 6)
            again = _mover(person, page)
            for _ in range(3):
                await again()
            before = taken(app)
            waits = [await again() for _ in range(repeats)]
            found[page] = (taken(app) - before) / repeats
            say(f"{page or 'Home'}: {1000 * found[page]:.0f} ms, median wait {1000 * median(waits):.0f} ms")
        return found


async def _prepare(person: Tab) -> None:
    """A run that the other pages show."""
    say("a first training")
    await person.open("Train", STORED)
    await person.press("Train")
    if not await person.watch(120):
        raise RuntimeError("the first training did not end")


def _mover(person: Tab, page: str) -> Callable[[], Awaitable[float]]:
    label = SLIDERS.get(page, "")
    return (lambda: person.move(label)) if person.has(label) else person.again


async def _looks(url: str, app: int, seconds: float) -> list[tuple[str, float, int]]:
    """For a training that waits behind another, then for the other: seconds of processor time for a look of one more
    tab, and how many looks there were.
    """
    found = []
    async with AsyncExitStack() as stack:
        first, second, *others = [await stack.enter_async_context(tab(url)) for _ in range(2 + WATCHERS)]
        for number, person in enumerate((first, second), 1):
            await person.open("Train", f"{LONG}&seed={number}")
            await person.press("Train")
        await asyncio.gather(first.open(), second.open())
        for number, name in ((2, "waits"), (1, "runs")):
            before = await _spent(app, seconds)
            await asyncio.gather(*(person.open("Train", f"{LONG}&seed={number}") for person in others))
            looked = sum(len(person.looks) for person in others)
            during = await _spent(app, seconds)
            looks = sum(len(person.looks) for person in others) - looked
            found.append((name, max(during - before, 0.0) / max(looks, 1), looks))
            await asyncio.gather(*(person.open() for person in others))
        for number, person in enumerate((first, second), 1):
            await person.open("Train", f"{LONG}&seed={number}")
            await person.press("Stop")
    return found


async def _spent(process: int, seconds: float) -> float:
    before = taken(process)
    await asyncio.sleep(seconds)
    return taken(process) - before


# --- A class ----------------------------------------------------------------------------------------------------------


def lesson(folder: Path, people: int, minutes: float) -> Iterator[Row]:
    """A new server, everybody's first page, then work; one training runs at a time."""
    rerun, first = WAITS.get(people, (None, None))
    with _limited() as limited, serving(folder) as server:
        limit = limited(server.root.pid)
        arrivals, noted, busy = asyncio.run(_lesson(server.url, server.root, people, minutes))
    who = f"{people} people"
    yield _target(f"{who}: first page for all at once on a new server, 95 %", _high(arrivals), "s", first, limit)
    yield told(f"{who}: the same, median", median(arrivals), "s")
    yield _target(f"{who}: rerun, 95 %", _high(noted.reruns), "s", rerun, f"{len(noted.reruns)} reruns")
    yield told(f"{who}: rerun, median", median(noted.reruns), "s")
    if noted.looks:
        yield told(f"{who}: look of a live view, 95 %", _high(noted.looks), "s", f"{len(noted.looks)} looks")
    note = f"{median(noted.trainings):.1f} s each" if noted.trainings else ""
    yield Row(f"{who}: trainings ended", len(noted.trainings), "", "at least 1", bool(noted.trainings), note)
    yield told(f"{who}: processor time of the app", 100 * busy, "% of a core")
    yield told(f"{who}: app at the end, without mapped files", noted.memory[-1][1] / MB, "MB")
    long = minutes >= LESSON
    slope = _slope(noted.memory)
    yield _target(f"{who}: growth of the app", slope, "MB/min", SLOPE_MB if long else None, f"in {minutes:g} minutes")
    errors = sorted(set(noted.errors))
    yield at_most(f"{who}: error boxes", len(noted.errors), "", 0, "; ".join(errors)[:300])


def _target(name: str, value: float, unit: str, limit: float | None, note: str = "") -> Row:
    return told(name, value, unit, note) if limit is None else at_most(name, value, unit, limit, note)


def _high(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def _slope(memory: list[tuple[float, int]]) -> float:
    """Megabytes a minute by least squares, without the beginning."""
    minutes, sizes = np.array(memory).T
    late = minutes >= EARLY * minutes[-1]
    return float(np.polyfit(minutes[late], sizes[late] / MB, 1)[0])


async def _lesson(url: str, app: psutil.Process, people: int, minutes: float) -> tuple[list[float], Lesson, float]:
    """Seconds until each one's first page was there, what was noted, and the app's processor time a second."""
    async with AsyncExitStack() as stack:
        tabs, arrivals = zip(*await asyncio.gather(*(_arrive(stack, url) for _ in range(people))), strict=True)
        say(f"{people} people: first page {median(arrivals):.2f} s, 95 % {_high(arrivals):.2f} s")
        teacher = await stack.enter_async_context(tab(url))
        await _prepare(teacher)
        begun, before = time.monotonic(), taken(app.pid)
        noted = Lesson(begun + 60 * minutes)
        students = [_study(person, noted, random.Random(number)) for number, person in enumerate(tabs)]
        await asyncio.gather(_teach(teacher, noted), _weigh(app, noted), *students)
        busy = (taken(app.pid) - before) / (time.monotonic() - begun)
        for person in (teacher, *tabs):
            noted.looks += person.looks
            noted.errors += person.errors
        return list(arrivals), noted, busy


async def _arrive(stack: AsyncExitStack, url: str) -> tuple[Tab, float]:
    """A new person's tab, and the seconds until their first page is there."""
    begun = time.perf_counter()
    person = await stack.enter_async_context(tab(url))
    await person.open()
    return person, time.perf_counter() - begun


async def _teach(person: Tab, noted: Lesson) -> None:
    """One training after the other."""
    for noted.seed in count(1):
        await person.open("Train", f"{TRAINED}&seed={noted.seed}")
        begun = time.monotonic()
        await person.press("Train")
        if not await person.watch(noted.ends - begun):
            return
        noted.trainings.append(time.monotonic() - begun)
        say(f"{len(noted.trainings)} trainings, {len(noted.reruns)} reruns, {noted.memory[-1][1] / MB:.0f} MB")


async def _study(person: Tab, noted: Lesson, chance: random.Random) -> None:
    """Open a page, move its slider some times, look on at the training, and so on."""
    await asyncio.sleep(chance.uniform(0, THINKS[1]))
    while noted.goes_on:
        page = chance.choice(PAGES)
        noted.reruns.append(await person.open(page))
        for _ in range(chance.randint(1, 4)):
            await asyncio.sleep(chance.uniform(*THINKS))
            noted.reruns.append(await _mover(person, page)())
        await asyncio.sleep(chance.uniform(*THINKS))
        if noted.goes_on:
            noted.reruns.append(await person.open("Train", f"{TRAINED}&seed={noted.seed}"))
            await asyncio.sleep(WATCHES)


async def _weigh(app: psutil.Process, noted: Lesson) -> None:
    """The app's own memory twice a second: resident pages without mapped files, which it shares with the workers."""
    begun = time.monotonic()
    while noted.goes_on:
        now = app.memory_info()
        noted.memory.append(((time.monotonic() - begun) / 60, now.rss - getattr(now, "shared", 0)))
        await asyncio.sleep(0.5)


@contextmanager
def _limited() -> Iterator[Callable[[int], str]]:
    """Yields a function that puts a process, and all that it will start, under a memory limit where the system lets us;
    it returns a note on that.
    """
    files = [root / name for root in CGROUPS for name in ("memory.max", "memory.limit_in_bytes")]
    group: Path | None = None
    for file in files:
        with suppress(OSError):
            if (file.parent / "cgroup.procs").exists():
                (made := file.parent / f"lab-load-{os.getpid()}").mkdir(exist_ok=True)
                (made / file.name).write_text(str(LIMIT))
                group = made
                break

    def join(process: int) -> str:
        if group is None:
            return "without a memory limit"
        (group / "cgroup.procs").write_text(str(process))
        return f"memory limit {LIMIT / GB:.1f} GB"

    try:
        yield join
    finally:
        if group is not None:
            group.rmdir()


def main(arguments: list[str]) -> int:
    """One lesson of any length."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=main.__doc__)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=30.0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lab-load-") as folder:
        found = list(lesson(Path(folder), chosen.people, chosen.minutes))
    print(report.table({"load": found}))
    return int(any(row.met is False for row in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
