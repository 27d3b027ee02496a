// SPDX-License-Identifier: GPL-2.0

//! What disturbs the page cache without writing a byte: advice, reclaim, compaction, a limit.

use std::fs;
use std::thread;
use std::time::Duration;

use super::Storm;
use super::random::Random;
use crate::cgroup::Group;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pattern::SECTOR;
use crate::sys;

/// Between two disturbances: enough that the others get to do something.
const PAUSE: Duration = Duration::from_millis(3);

/// Disturbs until the storm is over, as thread `number`.
pub(super) fn run(storm: &Storm, number: u32, group: Option<&Group>) {
    const ADVICE: [i32; 6] = [
        libc::MADV_DONTNEED,
        libc::MADV_COLD,
        libc::MADV_PAGEOUT,
        libc::MADV_WILLNEED,
        libc::MADV_POPULATE_READ,
        libc::MADV_POPULATE_WRITE,
    ];
    let mut random = Random::new(storm.seed, number);
    while storm.goes_on() {
        let index = random.below(storm.fields.len() as u64) as usize;
        let field = &storm.fields[index];
        let head = field.head() as usize * SECTOR;
        storm.doing(number, "a disturbance");
        // Each is best effort, and none may change a byte.
        let _ = match random.below(64) {
            0..24 => {
                let advice = random.pick(&ADVICE);
                Mapping::with_readahead(field.file.file(), head, Share::Shared)
                    .and_then(|mapping| mapping.touch_and_advise(advice))
            }
            24..36 => sys::drop_cache(field.file.file()),
            36..44 => sys::invalidate(field.file.file(), 0, 0).map(drop),
            44..52 => sys::read_ahead(field.file.file(), 0, field.file.size()),
            // These two take the whole machine.
            52 => fs::write("/proc/sys/vm/drop_caches", "1"),
            53 => fs::write("/proc/sys/vm/compact_memory", "1"),
            _ => group.map_or(Ok(()), |group| group.reclaim(1 << 20)),
        };
        storm.step(number);
        thread::sleep(PAUSE);
    }
    storm.doing(number, "");
}
