"""The guest tests on disk: which there are, what each needs, and which of them can share a guest."""

import fnmatch
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

DIRECTIVE = re.compile(r"^# guest:\s*(.*)$")
# What may be said of one test alone.
OWN = {"limit", "full"}
FUNCTION = re.compile(r"^test_(\w+)\s*\(\)")


@dataclass(frozen=True)
class Boot:
    """The guest that a test wants; tests with equal ones share it."""

    memory: int = 2048
    processors: int = 2
    disks: tuple[str, ...] = ("1G", "1G")
    append: str = ""
    debug_slab: bool = False


@dataclass(frozen=True)
class Test:
    """One test function."""

    name: str
    file: Path
    function: str
    limit: int
    boot: Boot = field(compare=False)
    full: bool


def _directive(path: Path, number: int, text: str) -> dict[str, str]:
    """The KEY=VALUE words of one directive."""
    settings: dict[str, str] = {}
    for word in text.split():
        key, _, value = word.partition("=")
        if key not in ("mem", "smp", "disks", "append", "debug-slab", "limit", "full") or not value:
            sys.exit(f"{path}:{number}: '{word}' is no setting; tests/guest/lib.sh lists them")
        if key == "append" and key in settings:
            value = f"{settings[key]} {value}"
        settings[key] = value
    return settings


def _boot(settings: dict[str, str]) -> Boot:
    return Boot(
        int(settings.get("mem", Boot.memory)),
        int(settings.get("smp", Boot.processors)),
        tuple(settings["disks"].split(",")) if "disks" in settings else Boot.disks,
        settings.get("append", ""),
        settings.get("debug-slab") == "1",
    )


def read_file(path: Path) -> list[Test]:
    """The tests of one file, in its order."""
    tests: list[Test] = []
    common: dict[str, str] = {}
    own: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := DIRECTIVE.match(line):
            own |= _directive(path, number, found.group(1))
        elif found := FUNCTION.match(line):
            if set(own) - OWN:
                sys.exit(f"{path}:{number}: only {' and '.join(sorted(OWN))} can be set for one test; leave a line empty above it")
            settings = {"limit": "180", **common, **own}
            full = settings.get("full") == "1"
            tests.append(Test(f"{path.stem}/{found.group(1)}", path, f"test_{found.group(1)}", int(settings["limit"]), _boot(common), full))
            own = {}
        elif not line.strip():
            # A directive that no function follows at once speaks for the rest of the file.
            common, own = {**common, **own}, {}
    return tests


def select(tests: list[Test], patterns: list[str]) -> list[Test]:
    """The tests whose file or full name matches one of the patterns; all without patterns."""
    if not patterns:
        return tests
    chosen = []
    for pattern in patterns:
        matching = [test for test in tests if fnmatch.fnmatch(test.name, pattern) or fnmatch.fnmatch(test.file.stem, pattern)]
        if not matching:
            sys.exit(f"tests/guest/run: no test is called '{pattern}'; --list names them")
        chosen += matching
    return [test for test in tests if test in chosen]


def groups(tests: list[Test]) -> list[list[Test]]:
    """Tests that share a guest, in order."""
    by_boot: dict[Boot, list[Test]] = {}
    for test in tests:
        by_boot.setdefault(test.boot, []).append(test)
    return list(by_boot.values())
