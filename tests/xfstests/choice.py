"""Which xfstests to run: by name, group, list, and what is left out."""

import fnmatch
import sys
from pathlib import Path


def words(path: Path) -> list[str]:
    """The first word of each line; what follows it, and lines with `#`, are for people."""
    lines = (line.split("#", 1)[0].split() for line in path.read_text().splitlines())
    return [line[0] for line in lines if line]


class Tree:
    """The tests of a built xfstests tree with their groups."""

    def __init__(self, tests: Path) -> None:
        self.groups: dict[str, set[str]] = {}
        for listing in sorted(tests.glob("*/group.list")):
            for line in listing.read_text().splitlines():
                number, *groups = line.split("#", 1)[0].split() or [""]
                if number:
                    self.groups[f"{listing.parent.name}/{number}"] = set(groups)

    def in_group(self, group: str) -> list[str]:
        """Those that any file system can run, or that ext2 shares with its family, and that are in this group."""
        found = [name for name, groups in self.groups.items() if group in groups and name.startswith(("generic/", "ext4/"))]
        if not found:
            sys.exit(f"xfstests: no test is in group '{group}'")
        return found

    def matching(self, pattern: str) -> list[str]:
        found = fnmatch.filter(self.groups, pattern)
        if not found:
            sys.exit(f"xfstests: the tree has no test '{pattern}' (such as generic/001 or 'generic/0*')")
        return found


def choose(tree: Tree, patterns: list[str], groups: list[str], lists: list[Path], default: list[str]) -> list[str]:
    """The tests asked for, in the tree's order; `default` if nothing was asked for."""
    wanted = {name for pattern in patterns for name in tree.matching(pattern)}
    wanted |= {name for group in groups for name in tree.in_group(group)}
    for path in lists:
        wanted |= set(words(path))
    if not (patterns or groups or lists):
        wanted = set(default)
    for name in sorted(wanted - set(tree.groups)):
        print(f"xfstests: the tree has no test {name}", file=sys.stderr)
    return [name for name in tree.groups if name in wanted]


def leave_out(tree: Tree, tests: list[str], groups: list[str], lists: list[Path]) -> list[str]:
    """Without those of these groups and lists."""
    unwanted = {name for group in groups for name in tree.in_group(group)}
    for path in lists:
        unwanted |= set(words(path))
    return [name for name in tests if name not in unwanted]


def shares(tests: list[str], seconds: dict[str, float], count: int) -> list[list[str]]:
    """Divides the tests among `count` guests so that all of them end at about the same time."""
    parts: list[list[str]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for name in sorted(tests, key=lambda name: -seconds.get(name, 20.0)):
        lightest = loads.index(min(loads))
        parts[lightest].append(name)
        loads[lightest] += seconds.get(name, 20.0)
    return [sorted(part, key=tests.index) for part in parts if part]
