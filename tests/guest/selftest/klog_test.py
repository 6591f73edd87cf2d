#!/usr/bin/env python3
"""The kernel-log checker on lines as the kernel prints them."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

QEMU = Path(__file__).resolve().parents[3] / "qemu"
sys.path.insert(0, str(QEMU))

from klog import find_faults

FAULTS = """\
[    1.0] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    1.0] BUG: unable to handle page fault for address: ffffc90000000000
[    1.0] BUG: Bad page state in process dd  pfn:12345
[    1.0] BUG: sleeping function called from invalid context at mm/slab.h:1
[    1.0] watchdog: BUG: soft lockup - CPU#1 stuck for 61s! [cat:123]
[    1.0] watchdog: Watchdog detected hard LOCKUP on cpu 0
[    1.0] kernel BUG at rust/helpers/bug.c:7!
[    1.0] rust_kernel: panicked at rust/mpage/plan.rs:12:34:
[    1.0] WARNING: CPU: 0 PID: 1 at fs/inode.c:1 iput+0x1/0x2
[    1.0] WARNING: fs/inode.c:417 at drop_nlink+0x1/0x2, CPU#1: rm/12
[    1.0] Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP
[    1.0] Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
[    1.0] Kernel panic - not syncing: Fatal exception
[    1.0] INFO: task cat:123 blocked for more than 100 seconds.
[    1.0] INFO: task cat:123 blocked in I/O wait for more than 122 seconds.
[    1.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[    1.0] rcu: INFO: rcu_preempt self-detected stall on CPU
[    1.0] rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-...D }
[    1.0] rcu: rcu_preempt kthread starved for 15000 jiffies! g1 f0x0 RCU_GP_WAIT_FQS(5)
[    1.0] BUG rext2_inode (Tainted: G           O       ): Object already free
[    1.0] ============================= BUG kmalloc-64 (Not tainted): Right Redzone overwritten
[    1.0] BUG rext2_inode (Not tainted): Objects remaining on __kmem_cache_shutdown()
[    1.0] VFS: Busy inodes after unmount of vdb (rext2)
[    1.0] UBSAN: array-index-out-of-bounds in fs/x.c:1:2
[    1.0] Out of memory: Killed process 12 (fio) total-vm:1kB
[    1.0] fio: page allocation failure: order:0, mode:0xcc0(GFP_KERNEL)
[    1.0] list_add corruption. prev->next should be next (1), but was 2. (prev=3).
[    1.0] refcount_t: underflow; use-after-free.
""".splitlines()

ORDINARY = """\
[    0.0] Command line: console=ttyS0 oops=panic panic=-1
[    0.0] Spectre V2 : mitigations=off
[    0.0] Linux version 7.2.12 (debian-kernel@lists.debian.org) #1 SMP
[    0.0] rcu: Preemptible hierarchical RCU implementation.
[    0.0] rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.
[    1.0] rext2: loading out-of-tree module taints kernel.
[    1.0] rext2: vda: inode 12: block 99999: invalid block 99999 (and 1 in all) on a volume of 8192
[    1.0] Buffer I/O error on dev dm-0, logical block 5, async page read
[    1.0] I/O error, dev vda, sector 1 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2
[    1.0] Memory cgroup out of memory: Killed process 12 (fio)
[    1.0] debug: WARNINGS are many
[    1.0] Call Trace:
""".splitlines()


class Faults(unittest.TestCase):
    def test_each_is_found(self) -> None:
        for line in FAULTS:
            self.assertEqual(len(find_faults([line])), 1, line)

    def test_ordinary_lines_are_none(self) -> None:
        for line in ORDINARY:
            self.assertEqual(find_faults([line]), [], line)

    def test_a_report_is_one_fault(self) -> None:
        report = ["WARNING: CPU: 0 PID: 1 at x", "Call Trace:", " <TASK>", " iput+0x1/0x2", " </TASK>", "ordinary"]
        found = find_faults([*report, "BUG: second"])
        self.assertEqual([(fault.number, len(fault.lines)) for fault in found], [(1, 5), (7, 1)])

    def test_expected_lines(self) -> None:
        log = ["WARNING: expected one", "WARNING: the other"]
        self.assertEqual([fault.number for fault in find_faults(log, [re.compile("expected")])], [2])


class Program(unittest.TestCase):
    def run_it(self, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, str(QEMU / "klog-check"), *arguments], input=text, capture_output=True, text=True)

    def test_status(self) -> None:
        self.assertEqual(self.run_it("fine\n").returncode, 0)
        self.assertEqual(self.run_it("BUG: not fine\n").returncode, 1)
        self.assertEqual(self.run_it("BUG: fine\n", "--allow", "fine").returncode, 0)
        self.assertEqual(self.run_it("", "/nonexistent/log").returncode, 2)
        self.assertEqual(self.run_it("", "--allow", "(").returncode, 2)


if __name__ == "__main__":
    unittest.main()
