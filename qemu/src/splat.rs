// SPDX-License-Identifier: GPL-2.0

//! What a kernel says on its console when something is wrong with it.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde::Serialize;

/// A line on the console that no good run has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Splat {
    /// What kind of thing it is.
    pub kind: &'static str,
    /// The line.
    pub line: String,
    /// The step of the job that ran then, as far as is known.
    pub step: Option<String>,
}

/// Patterns, most telling first, and what they mean. They are looked for behind the time stamp.
const PATTERNS: &[(&str, &str)] = &[
    ("kasan", r"BUG: KASAN:"),
    ("kcsan", r"BUG: KCSAN:"),
    ("kfence", r"BUG: KFENCE:"),
    (
        "rust panic",
        r"rust_kernel: panicked at|panicked at .*\.rs:\d+",
    ),
    ("panic", r"Kernel panic - not syncing"),
    (
        "oops",
        r"\bOops(?:: |$)|general protection fault|kernel BUG at",
    ),
    (
        "lockdep",
        r"WARNING: (?:possible|inconsistent|suspicious|bad unlock|held lock|nested lock|lock held)|possible (?:circular|recursive) locking|INFO: (?:trying to register non-static key|possible)|inconsistent lock state|DEBUG_LOCKS_WARN_ON|BUG: MAX_LOCK|turning off the locking correctness validator",
    ),
    (
        "sleep in atomic",
        r"BUG: sleeping function called|BUG: scheduling while atomic",
    ),
    (
        "rcu",
        r"suspicious RCU usage|rcu: INFO: .*(?:stall|detected)",
    ),
    ("hung task", r"INFO: task .* blocked for more than"),
    (
        "lockup",
        r"watchdog: BUG: (?:soft|hard) lockup|Watchdog detected hard LOCKUP",
    ),
    (
        "leak",
        r"kmemleak: \d+ new suspected memory leaks|unreferenced object 0x",
    ),
    (
        "slab",
        r"BUG .*: (?:Objects remaining|Redzone|Poison|Object already free)|Objects remaining (?:in|on)|Slab cache still has objects",
    ),
    ("ubsan", r"UBSAN:"),
    ("busy inodes", r"VFS: Busy inodes after unmount"),
    ("bad page", r"BUG: Bad (?:page|rss)"),
    ("bug", r"\bBUG: "),
    ("warning", r"\bWARNING: "),
    ("buffer error", r"VFS: brelse: Trying to free free buffer"),
];

/// Lines that look like trouble and are none, each with its reason.
const HARMLESS: &[&str] = &[
    // QEMU's TCG does not keep the two clocks in step; the kernel goes on with another one.
    r"tsc: Unable to calibrate against PIT",
    r"mtrr: your CPUs had inconsistent",
];

static SET: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(PATTERNS.iter().map(|(_, pattern)| pattern))
        .expect("the patterns are regular expressions")
});
static HARMLESS_SET: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(HARMLESS).expect("the patterns are regular expressions"));
/// Interrupt routing that timed out: the disk has no interrupts, and the run says nothing of the module.
static LOST_INTERRUPTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"AE_AML_LOOP_TIMEOUT|PCI INT [A-D]: no GSI").expect("a regular expression")
});

/// What the kernel puts before what it says, with `printk.time=1`.
static STAMP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\[ *\d+\.\d{6}\](?:\[[ CT\d]+\])? ").expect("a regular expression")
});

/// Returns what the kernel says in a line of the console; nothing if a program says it.
pub fn of_kernel(line: &str) -> Option<&str> {
    STAMP.find(line).map(|stamp| &line[stamp.end()..])
}

/// Judges one line of the console. What programs print there is not looked at.
pub fn judge(line: &str) -> Option<Splat> {
    let line = of_kernel(line)?;
    if HARMLESS_SET.is_match(line) {
        return None;
    }
    let found = SET.matches(line).iter().next()?;
    Some(Splat {
        kind: PATTERNS[found].0,
        line: line.to_owned(),
        step: None,
    })
}

/// Says whether the line means that the machine, not the module, is broken.
pub fn lost_interrupts(line: &str) -> bool {
    LOST_INTERRUPTS.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn trouble_is_seen_and_named() {
        for (line, kind) in [
            (
                "BUG: KASAN: slab-use-after-free in cohfs_iget+0x12/0x30",
                "kasan",
            ),
            (
                "WARNING: possible circular locking dependency detected",
                "lockdep",
            ),
            (
                "WARNING: fs/iomap/buffered-io.c:1 at iomap_x, CPU#0: sh/1",
                "warning",
            ),
            ("Oops: Oops: 0002 [#1] SMP PTI", "oops"),
            (
                "Oops: general protection fault, probably for non-canonical address",
                "oops",
            ),
            (
                "INFO: task cat:71 blocked for more than 120 seconds.",
                "hung task",
            ),
            (
                "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                "rcu",
            ),
            (
                "rust_kernel: panicked at rust/fs/map.rs:12:3:",
                "rust panic",
            ),
            ("Kernel panic - not syncing: sysrq triggered crash", "panic"),
            (
                "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
                "leak",
            ),
            (
                "BUG cohfs_inode (Not tainted): Objects remaining in cohfs_inode on __kmem_cache_shutdown()",
                "slab",
            ),
            (
                "BUG: sleeping function called from invalid context at mm/x.c:1",
                "sleep in atomic",
            ),
            (
                "VFS: Busy inodes after unmount of vda (cohfs)",
                "busy inodes",
            ),
        ] {
            let stamped = format!("[    1.234567] {line}");
            assert_eq!(
                judge(&stamped).map(|splat| splat.kind),
                Some(kind),
                "{line}"
            );
            assert_eq!(judge(line), None, "a program may print it: {line}");
        }
    }

    #[test]
    fn ordinary_lines_are_none() {
        for line in [
            "mtrr: your CPUs had inconsistent variable MTRR settings",
            "tsc: Unable to calibrate against PIT",
            "DEBUG_LOCKS is on, debug messages follow",
            "cohfs (vda): bad magic 0x0",
            "Warning: unable to open an initial console.",
        ] {
            assert_eq!(
                judge(&format!("[    1.234567][  T12] {line}")),
                None,
                "{line}"
            );
        }
    }
}
