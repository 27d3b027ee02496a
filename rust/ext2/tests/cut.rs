// SPDX-License-Identifier: GPL-2.0

//! What goes when a file is cut short.

use super::{
    super::{
        Cut,
        FileBlock,
        Path,
        SuperBlock, //
    },
    super_block, //
};

/// Says whether the block at `path` goes with `cut`.
fn goes(cut: &Cut, path: &Path) -> bool {
    let offsets = path.offsets();
    if cut.roots.contains(&offsets[0]) {
        return true;
    }
    let Some(partial) = cut.partial.as_ref().filter(|p| p.root == offsets[0]) else {
        return false;
    };
    for (step, &offset) in partial.steps().iter().zip(&offsets[1..]) {
        if offset >= step.from {
            return true;
        }
        if offset + 1 < step.from {
            return false;
        }
        // The last pointer that stays: the next step, if there is one, is about what it leads to.
    }
    false
}

/// The blocks around every place where a level begins or ends.
fn edges(sb: &SuperBlock) -> Vec<u64> {
    let per_block = 1u64 << (sb.block_bits() - 2);
    let starts = [
        0,
        12,
        12 + per_block,
        12 + 2 * per_block,
        12 + per_block + per_block * per_block,
        12 + 2 * per_block + per_block * per_block,
        12 + per_block + 2 * per_block * per_block,
        12 + per_block + per_block * per_block + per_block * per_block * per_block,
    ];
    let around = |start: u64| start.saturating_sub(2)..=start + 2;
    starts.into_iter().flat_map(around).collect()
}

#[test]
fn what_goes_is_what_lies_behind_the_cut() {
    for log in 0..3 {
        let sb = super_block(log, |_| ());
        for keep in edges(&sb) {
            let cut = Cut::to(keep, &sb);
            for block in edges(&sb) {
                let file_block = FileBlock(u32::try_from(block).expect("fits"));
                if let Ok(path) = Path::to(file_block, &sb) {
                    assert_eq!(
                        goes(&cut, &path),
                        block >= keep,
                        "{block} of {keep}: {cut:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_block_of_pointers_that_stays_keeps_a_pointer() {
    for log in 0..3 {
        let sb = super_block(log, |_| ());
        for keep in edges(&sb) {
            let cut = Cut::to(keep, &sb);
            let partial = cut.partial.iter();
            assert!(partial
                .clone()
                .all(|partial| partial.root + 1 == cut.roots.start));
            let mut steps = partial.flat_map(|partial| partial.steps());
            assert!(steps.all(|step| step.from > 0), "{cut:?}");
        }
    }
}

#[test]
fn the_cut_is_as_short_as_it_can_be() {
    let sb = super_block(0, |_| ());
    let steps = |keep| {
        let cut = Cut::to(keep, &sb);
        let from = |partial: &super::super::cut::Partial| {
            partial
                .steps()
                .iter()
                .map(|step| step.from)
                .collect::<Vec<_>>()
        };
        (cut.roots, cut.partial.as_ref().map(from))
    };
    assert_eq!(steps(0), (0..15, None));
    assert_eq!(steps(7), (7..15, None));
    assert_eq!(steps(12), (12..15, None));
    assert_eq!(steps(13), (13..15, Some(vec![1])));
    assert_eq!(steps(12 + 256), (13..15, None));
    // A whole block of pointers: nothing below it has to be looked at.
    assert_eq!(steps(12 + 256 + 256), (14..15, Some(vec![1])));
    assert_eq!(steps(12 + 256 + 257), (14..15, Some(vec![2, 1])));
    assert_eq!(steps(u64::MAX), (15..15, None));
}
