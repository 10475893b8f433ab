# SPDX-License-Identifier: GPL-2.0-or-later
"""First lines of splats, and what kernels say when nothing is wrong."""

CRASHES = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000018",
    "BUG: unable to handle page fault for address: ffff888107a2b000",
    "BUG: unable to handle kernel paging request at ffffea0004000020",
    "Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI",
    "Oops: 0002 [#1] SMP",
    "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] PREEMPT SMP",
    "general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] PREEMPT SMP NOPTI",
    "kernel BUG at fs/ext4/inode.c:2748!",
    "kernel BUG at lib/list_debug.c:51!",
    "kernel BUG at mm/usercopy.c:102!",
    "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: fuse_dev_do_write+0x1/0x2",
    "Kernel panic - not syncing: corrupted stack end detected inside scheduler",
    "double fault: 0000 [#1] SMP",
    "stack segment: 0000 [#1] SMP",
    "divide_error: 0000 [#1] PREEMPT SMP KASAN",
    "divide error: 0000 [#1] SMP",
    "kernel stack overflow (double-fault): 0000 [#1] SMP",
    "Unable to handle kernel paging request at virtual address dfff800000000003",
    "Unable to handle kernel execute from non-executable memory at virtual address 0",
    "BUG: unable to handle ker",
    "BUG: unable to handle kernel NULL pointer dereference at 0000000000000018",
    "general protection fault for non-canonical address 0xe017577ddf75b7dd: 0000 [#1] PREEMPT SMP KASAN PTI",
    "kasan: GPF could be caused by NULL-ptr deref or user memory accessgeneral protection fault: 0000 [#1] SMP",
    "Kernel panic - not syncing: Fatal exception",
    "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(254,0)",
    "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
    "BUG: KASAN: slab-use-after-free in fuse_dev_do_write+0x1a3/0x2e0",
    "KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]",
    "BUG: KFENCE: use-after-free read in fuse_request_end+0x4c/0x1f0",
    "BUG: KASAN: double-free in fuse_request_free+0x1/0x2",
    "UBSAN: Undefined behaviour in fs/fuse/file.c:12:3",
    "BUG: memory leak",
    "BUG: sleeping function called from invalid context at include/linux/sched/mm.h:337",
    "BUG: using smp_processor_id() in preemptible [00000000] code: fsx/1811",
    "BUG: spinlock bad magic on CPU#0, fsx/1811",
    "BUG: Bad rss-counter state mm:00000000 type:MM_FILEPAGES val:1",
    "BUG: Dentry 00000000a1b2c3d4{i=1,n=file}  still in use (1) [unmount of fuseblk vdb]",
    "BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[9]",
    "BUG: something that nobody has seen before",
    "unregister_netdevice: waiting for lo to become free. Usage count = 2",
    "BUG: scheduling while atomic: fsstress/1234/0x00000002",
    "NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [fsx:1811]",
    "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [fsx:1811]",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 21 jiffies s: 465 root: 0x2/.",
    "WARNING: possible circular locking dependency detected",
    "WARNING: possible recursive locking detected",
    "WARNING: possible irq lock inversion dependency detected",
    "[ INFO: possible circular locking dependency detected ]",
    "WARNING: inconsistent lock state",
    "WARNING: suspicious RCU usage",
    "WARNING: CPU: 0 PID: 1842 at fs/fuse/file.c:1893 fuse_writepage_end+0x1c2/0x200",
    "WARNING: CPU: 1 PID: 9 at fs/inode.c:417 drop_nlink+0x2f/0x40",
    "WARNING: fs/inode.c:417 at drop_nlink+0x2f/0x40, CPU#1: fsstress/6064",
    "WARNING: at drop_nlink+0x2f/0x40, CPU#1: fsstress/6064",
    "WARNING: CPU: 0 PID: 9 at lib/debugobjects.c:514 debug_print_object+0x16e/0x250",
    "WARNING: CPU: 0 PID: 9 at mm/usercopy.c:74 usercopy_warn+0xe1/0x130",
    "WARNING: CPU: 0 PID: 9 at lib/kobject.c:734 kobject_put+0x1c8/0x540",
    "WARNING: CPU: 0 PID: 9 at fs/proc/generic.c:375 proc_register+0x21f/0x310",
    "WARNING: CPU: 0 UID: 0 PID: 9 at lib/refcount.c:28 refcount_warn_saturate+0x13c/0x174",
    "WARNING: CPU: 0 PID: 9 at kernel/locking/lockdep.c:5035 lock_acquire+0x2c1/0x400",
    "WARNING: CPU: 0 PID: 9 at mm/vmalloc.c:3108 __vmalloc_node_range+0x1036/0x1300",
    "WARNING: CPU: 0 PID: 9 at mm/page_alloc.c:4709 __alloc_pages_noprof+0x3b1/0x710",
    "WARNING: kernel stack frame pointer at         (ptrval) in fsx:12 has bad value         (ptrval)",
    "WARNING: kernel stack regs at 00000000a1b2c3d4 in fsx:12 has bad 'bp' value 0000000012345678",
    "WARNING: something that nobody has seen before",
    "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
    "WARNING: fsstress/12 still has locks held!",
    "WARNING: bad unlock balance detected!",
    "WARNING: held lock freed!",
    "WARNING: lock held when returning to user space!",
    "WARNING: Nested lock was not taken",
    "WARNING: chain_key collision",
    "WARNING: stack recursion on stack type 4",
    "BUG kmalloc-96 (Not tainted): Object already free",
    "Kernel panic - not syncing: Couldn't open N_TTY ldisc for ttyS3 --- error -12.",
    "rust_kernel: panicked at rust/kernel/x.rs:12:3:",
    "Booting the kernel.",
    "[ BUG: bad contention detected! ]",
    "[ BUG: a headline before 4.11 ]",
    "INFO: possible recursive locking detected",
    "[ BUG: Invalid wait context ]",
    "INFO: suspicious RCU usage",
    "INFO: trying to register non-static key.",
    "BUG: key ffff888107a2b000 has not been registered!",
    "BUG: KCSAN: data-race in fuse_change_attributes / fuse_stat",
    "BUG: KMSAN: uninit-value in fuse_dev_do_write+0x1a3/0x2e0",
    "UBSAN: shift-out-of-bounds in fs/fuse/file.c:12:3",
    "kmemleak: unreferenced object 0xffff888003692380 (size 128):",
    "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 31s!",
    "watchdog: Watchdog detected hard LOCKUP on cpu 1",
    "BUG: TASK stack guard page was hit at 0000000012345678 (stack is 0000000012345678..0000000012345678)",
    "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000018",
    "Internal error: Oops: 0000000096000004 [#1] SMP",
    "PANIC: double fault, error_code: 0x0",
    "Kernel BUG at ext4_writepages+0x1/0x2 [verbose debug info unavailable]",
    "CFI failure at fuse_dev_do_write+0x1a3/0x2e0 (target: x+0x0/0x10; expected type: 0x12345678)",
    "BUG kmalloc-96 (Tainted: G    B             ): Poison overwritten",
    "BUG: MAX_LOCKDEP_CHAIN_HLOCKS too low!",
    "BUG: Bad page state in process fsx  pfn:12345",
    "VFS: Busy inodes after unmount of vda (ext4)",
    "VFS: Close: file count is 0",
    "BUG: Bad page map in process fsx  pte:12345 pmd:12345",
    "Unhandled fault: page domain fault (0x01b) at 0x00000000",
    "Kernel panic - not syncing: kernel stack overflow",
    "WARNING: [order > 10] mm/page_alloc.c:5220 at __alloc_pages+0x1/0x2, CPU#1: fsx/12",
    "WARNING: CPU: 0 PID: 9 at mm/util.c:597 kvmalloc_node+0x111/0x120",
    "reboot: Restarting system",
    "fsx invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=250",
    "Memory cgroup out of memory: Killed process 845 (fsx) total-vm:1187432kB",
    "Out of memory and no killable processes...",
    "Out of memory: Killed process 845 (fuse4fs) total-vm:1187432kB, anon-rss:902144kB, file-rss:4kB, shmem-rss:0kB",
)
WAITING = (
    "INFO: task fsx:12 can't die for more than 143 seconds.",
    "INFO: task sync:2230 blocked in I/O wait for more than 122 seconds.",
    "INFO: task fsstress:2211 blocked for more than 122 seconds.",
)
ORDINARY = """\
Linux version 6.12.117-rb-0123456789ab (reviewbot@reviewbot) (gcc (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP
Command line: root=/dev/vda ro init=/sbin/reviewbot-init console=ttyS0 console=hvc0 loglevel=5 panic=-1 oops=panic
KERNEL supported cpus:
BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
kasan: KernelAddressSanitizer initialized
kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)-0x(____ptrval____)
rcu: Hierarchical RCU implementation.
rcu: \tRCU calculated value of scheduler-enlistment delay is 25 jiffies.
Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!
workqueue: name exceeds WQ_NAME_LEN. Truncating to: events_freezable_pwr_ef
clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:
virtio_blk virtio1: [vda] 1126400 512-byte logical blocks (577 MB/550 MiB)
EXT4-fs (vdc): warning: mounting fs with errors, running e2fsck is recommended
EXT4-fs (vdc): mounted filesystem 8b6f6a0e-0001-4c5e-9d55-0c8d1d6f7e11 r/w with ordered data mode.
fuse: init (API version 7.41)
traps: a.out[311] trap invalid opcode ip:55d0c6f0213d sp:7ffd3b1b1fd0 error:0 in a.out[55d0c6f02000+1000]
fuse2fs[400]: segfault at 18 ip 00007f1c3b1c sp 00007ffd5f20 error 4 in libfuse3.so.4[7f1c3b000000+1f000]
run fstests generic/475 at 2026-11-24 02:13:27
Buffer I/O error on dev dm-0, logical block 13, lost async page write
JBD2: Error while async write back metadata bh 131096.
EXT4-fs error (device dm-0): __ext4_find_entry:1683: inode #2: comm fsstress: reading directory lblock 0
reviewbot: limit reached; aborting fuse connections and killing the step
sysrq: Emergency Sync
"""
TRACED = ("CPU: 0 UID: 0 PID: 1842 Comm: fsx", "Call Trace:", " <TASK>", " vfs_x+0x1/0x2", " </TASK>")


def console(*messages: str) -> str:
    """Messages as the agent hands them over, among ordinary ones."""
    lines = [*ORDINARY.splitlines(), *messages, "Modules linked in:", "---[ end trace 0000000000000000 ]---"]
    return "".join(f"[{number / 7:12.6f}] {line}\n" for number, line in enumerate(lines))
