#!/usr/bin/env python3
"""Runs xfstests in the guest, for `session.py`: agent.py LIMIT TEST..., with a limit for each test in seconds.

Tells what happens in the lines of tests/guest/agent: "begin TEST", "end TEST STATUS" after the character 036; between
them lies what there is to know about a failure. Status 77 is "not run", 124 is a test that outlived its limit; that
one ends the guest, since nobody knows what it holds.

One call of `check` runs all tests. It prints the name of each at the start of a line as it begins, and then, before
the next, what became of it; the output of the test itself goes elsewhere, and differences are indented.

The disks are, in this order: test, scratch, log of writes, and an image of the xfstests tree. The variable
XFSTESTS_BLOCK_SIZE is in bytes.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TREE = Path("/mnt/xfstests")
RESULTS = Path("/tmp/results")
USERS = ("fsgqa", "fsgqa2", "123456-fsgqa")

STATUS_NOT_RUN = 77
STATUS_TIMEOUT = 124

NAME = re.compile(r"^([a-z0-9]+/\d{3,})(?=\s)", re.MULTILINE)
# Ends the last test: the summary of `check`, or what it says when it gives up.
END = re.compile(r"^(?:Ran: |Interrupted!|Passed all|Failures: )", re.MULTILINE)
PASSED = re.compile(r"\s+(?:\d+s \.\.\. )?\s*\d+s\s*$")
NOT_RUN = re.compile(r"\[not run\]\s*(.*)")


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def write_line(file: str, text: str) -> None:
    """A write(2) of its own, as the kernel's special files want it."""
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode() + b"\n")
    finally:
        os.close(descriptor)


def tell(text: str) -> None:
    print(f"\n\x1e{text}", flush=True)


def note(text: str) -> None:
    write_line("/dev/kmsg", f"<5>rext2-test: {text}")


def set_up(disks: list[str], block_size: str) -> None:
    """Volumes, users, and the tree with a layer in memory on top: tests write beside themselves."""
    layers = Path("/tmp/tree")
    for directory in (layers / "lower", layers / "upper", layers / "work", TREE, RESULTS, Path("/mnt/test"), Path("/mnt/scratch")):
        directory.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "erofs", "-o", "ro", disks[3], f"{layers}/lower")
    options = f"lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work"
    run("mount", "-t", "overlay", "-o", options, "xfstests", str(TREE))
    for name in USERS:
        run("useradd", "--badname", "--create-home", name)
    run("mkfs.ext2", "-q", "-F", "-b", block_size, disks[0])


def settings(disks: list[str], block_size: str) -> dict[str, str]:
    return {
        "FSTYP": "ext2",
        "TEST_DEV": disks[0],
        "TEST_DIR": "/mnt/test",
        "SCRATCH_DEV": disks[1],
        "SCRATCH_MNT": "/mnt/scratch",
        "LOGWRITES_DEV": disks[2],
        "RESULT_BASE": str(RESULTS),
        "MKFS_OPTIONS": f"-b {block_size}",
        # A blank is not nothing, for which xfstests would put `acl,user_xattr`.
        "MOUNT_OPTIONS": " ",
        "TEST_FS_MOUNT_OPTS": " ",
    }


def keep_results(test: str) -> None:
    """Puts what a failed test left where the host has it."""
    kept = Path("/mnt/out") / test
    kept.mkdir(parents=True, exist_ok=True)
    for file in (RESULTS / test).parent.glob(f"{Path(test).name}.*"):
        shutil.copy(file, kept)
    with (kept / "dmesg").open("wb") as log:
        subprocess.run(["dmesg"], stdout=log, check=False)


class Check:
    """One call of `check`, and the test that it is at."""

    def __init__(self, limit: float, tests: list[str], environment: dict[str, str]) -> None:
        self.limit = limit
        self.text = ""
        self.current = ""
        # The summary has begun. It names tests too.
        self.over = False
        self.deadline = time.monotonic() + limit
        self.process = subprocess.Popen(
            ["./check", *tests],
            cwd=TREE,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def watch(self) -> bool:
        """Tells of tests as they begin and end; False if one did not end in time."""
        assert self.process.stdout
        pipe = self.process.stdout.fileno()
        while True:
            patience = self.deadline - time.monotonic()
            if patience <= 0:
                return False
            if select.select([pipe], [], [], patience)[0]:
                data = os.read(pipe, 1 << 16)
                if not data:
                    self._end_current()
                    return True
                self.text += data.decode(errors="replace")
                self._look()

    def _look(self) -> None:
        while not self.over and (found := NAME.search(self.text) or END.search(self.text)):
            self.over = found.re is END
            before, self.text = self.text[: found.start()], self.text[found.end() :]
            self._end(before)
            if not self.over:
                self._begin(found.group(1))

    def _begin(self, test: str) -> None:
        self.current = test
        self.deadline = time.monotonic() + self.limit
        note(f"begin {test}")
        tell(f"begin {test}")

    def _end_current(self) -> None:
        self._end(self.text)

    def _end(self, outcome: str) -> None:
        test, self.current = self.current, ""
        if not test:
            print(outcome, end="", flush=True)
            return
        status = 0
        if found := NOT_RUN.search(outcome):
            print(found.group(1))
            status = STATUS_NOT_RUN
        elif not PASSED.fullmatch(outcome):
            print(outcome)
            keep_results(test)
            status = 1
        note(f"end {test}")
        tell(f"end {test} {status}")

    def give_up(self) -> None:
        """Says who waits, and where; then ends what can be ended."""
        write_line("/proc/sysrq-trigger", "l")
        write_line("/proc/sysrq-trigger", "w")
        os.killpg(self.process.pid, signal.SIGKILL)
        print(f"{self.text}\nfailed: not finished within {self.limit:g} s")
        if self.current:
            keep_results(self.current)
            note(f"end {self.current}")
            tell(f"end {self.current} {STATUS_TIMEOUT}")


def main() -> int:
    limit, tests = float(sys.argv[1]), sys.argv[2:]
    disks = os.environ["REXT2_DISKS"].split()
    block_size = os.environ["XFSTESTS_BLOCK_SIZE"]
    set_up(disks, block_size)
    check = Check(limit, tests, settings(disks, block_size))
    if not check.watch():
        check.give_up()
        return STATUS_TIMEOUT
    return check.process.wait()


if __name__ == "__main__":
    sys.exit(main())
