"""What was injected, what fired, how long recovery took, and the last line."""

import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Fault:
    """One fault: whether it was seen to happen, and by what."""

    kind: str
    what: str
    has_fired: bool = False
    seen: str = ""

    def fired(self, seen: object, what: str = "") -> None:
        """It has, if `seen` holds."""
        self.has_fired, self.seen = bool(seen), what or str(seen)


@dataclass
class Tally:
    """Counts of a whole run."""

    started: float = field(default_factory=time.monotonic)
    injected: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    views: list[int] = field(default_factory=lambda: [0, 0])
    damage: list[int] = field(default_factory=lambda: [0, 0])
    mutants: list[int] = field(default_factory=lambda: [0, 0])
    drift: int = 0
    events: int = 0
    runs: int = 0

    @contextmanager
    def fault(self, kind: str, what: str) -> Iterator[Fault]:
        """One injection; the block says whether it fired."""
        one, begun = Fault(kind, what), time.monotonic()
        self.injected[kind] += 1
        yield one
        self.fired[kind] += one.has_fired
        mark = "fired" if one.has_fired else "DID NOT FIRE"
        self.say(f"{kind} {what}: {mark} ({one.seen[:160]}), {time.monotonic() - begun:.1f} s")

    def say(self, line: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - self.started:6.1f}] {line}\n")
        sys.stdout.flush()

    def found(self, broken: list[str], where: str) -> None:
        """Invariants that do not hold."""
        for one in broken:
            self.say(f"BROKEN after {where}: {one}")
        self.broken += broken

    @property
    def is_good(self) -> bool:
        return not (
            self.broken
            or self.drift
            or self.injected != self.fired
            or self.views[0] != self.views[1]
            or self.damage[0]
            or self.mutants[0] != self.mutants[1]
        )

    def last_line(self, seed: int) -> str:
        lost = sum(_count(one) for one in self.broken if "lost" in one or "nowhere" in one)
        twice = sum(_count(one) for one in self.broken if "twice" in one)
        seconds = sorted(self.recoveries) or [0.0]
        p95 = seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))]
        return (
            f"faults: {len(self.injected)} kinds, {self.injected.total()} injected, "
            f"{self.fired.total()} fired | {self.events:,} events \u00d7 {self.runs} runs: "
            f"{lost} lost, {twice} duplicated | money drift {self.drift} | "
            f"gold = recompute {self.views[0]}/{self.views[1]} | "
            f"silent corruptions {self.damage[0]}/{self.damage[1]} | "
            f"mutants {self.mutants[0]}/{self.mutants[1]} caught | recovery p50 "
            f"{statistics.median(seconds):.1f} s p95 {p95:.1f} s | seed {seed}"
        )


def _count(broken: str) -> int:
    numbers = [int(word) for word in broken.split() if word.isdigit()]
    return numbers[0] if numbers else 1
