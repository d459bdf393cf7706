//! The random numbers of a walk, for the random exchanges. The crate draws none itself: the caller
//! seeds a [`Route`](crate::Route), and the same seed gives the same choices.

use crate::hash::mix;

/// The SplitMix64 generator: one addition and one [`mix`] a number, which is good enough to spread
/// messages and no secret.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, all equally likely; `None` when there is none.
    pub(crate) fn below(&mut self, end: usize) -> Option<usize> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let end = u128::try_from(end).ok()?;
        let chosen = (u128::from(mix(self.0)) * end) >> u64::BITS;
        usize::try_from(chosen).ok().filter(|_| end > 0)
    }
}
