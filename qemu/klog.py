"""What in a kernel log means that something went wrong."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Each says "the kernel found itself broken or stuck"; none is printed in ordinary operation.
FAULTS = re.compile(
    r"""
      \bBUG:\s                                       # oops, bad page state, sleeping while atomic, KASAN, soft lockup
    | \bkernel\ BUG\ at\b
    | \bWARNING:\s
    | \bKernel\ panic\b
    | \brust_kernel:\ panicked\ at\b                 # a Rust panic, before the BUG() that follows it
    | \bOops\b(?::|\ -)
    | \bgeneral\ protection\ fault\b
    | \bunable\ to\ handle\b
    | \bdouble\ fault\b | \bstack\ segment:\ | \binvalid\ opcode:\  | \bdivide\ error:\ 
    | \bUBSAN:\ | \bKFENCE:\ 
    | \bINFO:\ task\ .*\ blocked\ (?:for\ more\ than|in\ I/O)\b
    | \brcu:?\ .*\b(?:detected\ (?:expedited\ )?stalls?|self-detected\ stall|kthread\ starved)
    | \b(?:soft|hard)\ (?:lockup|LOCKUP)\b | \bWatchdog\ detected\ hard\ LOCKUP\b
    | \bpossible\ (?:recursive|circular)\ locking\b | \binconsistent\ lock\ state\b | \bINFO:\ possible\ 
    | \bsuspicious\ RCU\ usage\b
    | \bBUG\ \S+\ \((?:Not\ t|T)ainted               # what slab_debug finds, and objects left in a cache
    | \brefcount_t:\  | \blist_(?:add|del)\ corruption\b
    | \bpagealloc:\ (?:memory\ corruption|single\ bit\ error)
    | \bOut\ of\ memory:\ Kill(?:ed|ing)?\ process\b
    | \bpage\ allocation\ failure:\ 
    | \bVFS:\ Busy\ inodes\ after\ unmount\b
    | \brext2-guest:\ cannot\b                       # our own init could not do its work
    """,
    re.VERBOSE,
)

# What ends the report that a fault opens; the lines between belong to it and are no faults of their own.
REPORT_END = re.compile(r"---\[ end (?:trace|Kernel panic)|</TASK>\s*$")
REPORT_LINES = 60


@dataclass(frozen=True)
class Fault:
    """One report: the number of its first line, counted from 1, and its lines."""

    number: int
    lines: tuple[str, ...]


def find_faults(lines: Iterable[str], allowed: Sequence[re.Pattern[str]] = ()) -> list[Fault]:
    """All faults in a log, except those whose first line one of `allowed` finds."""
    faults: list[Fault] = []
    report: list[str] | None = None
    start = 0
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if report is None:
            if FAULTS.search(line) and not any(pattern.search(line) for pattern in allowed):
                report, start = [line], number
        else:
            report.append(line)
        if report is not None and (REPORT_END.search(line) or len(report) >= REPORT_LINES):
            faults.append(Fault(start, tuple(report)))
            report = None
    if report is not None:
        faults.append(Fault(start, tuple(report)))
    return faults
