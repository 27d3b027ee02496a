// SPDX-License-Identifier: GPL-2.0

//! Numbers that look random and are the same for the same seed.

/// A generator of numbers: splitmix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Makes the generator of thread `thread` of the storm `seed`.
    pub(super) fn new(seed: u64, thread: u32) -> Self {
        let mut state = seed ^ (u64::from(thread) << 48);
        mix(&mut state);
        Self(state)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        mix(&mut self.0) % end
    }

    /// Whether something that happens once in `n` times happens now.
    pub(super) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of `items`, which are not none.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let index = self.below(items.len() as u64);
        items[index as usize]
    }
}

/// One step of splitmix64.
pub(super) fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn threads_differ_and_seeds_repeat() {
        let draw = |seed, thread| {
            let mut random = Random::new(seed, thread);
            [random.below(1000), random.below(1000), random.below(1000)]
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }
}
