//! Chance that can be repeated: SplitMix64 (Steele, Lea, Flood 2014), one stream of numbers for each purpose, so that one
//! more question here does not change the answers there.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The stream of this seed for this purpose.
    pub(super) fn new(seed: u64, purpose: &str) -> Dice {
        // FNV-1a over the purpose.
        let spread = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut dice = Dice(seed ^ spread);
        dice.next();
        dice
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both possible.
    pub(super) fn from(&mut self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(0) as u64 + 1;
        low + (self.next() % span) as i64
    }

    /// True once in `of` on average; never for 0.
    pub(super) fn once_in(&mut self, of: u64) -> bool {
        let drawn = self.next();
        of > 0 && drawn.is_multiple_of(of)
    }

    /// One of these.
    pub(super) fn one_of<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        match self.next() as usize % (others.len() + 1) {
            0 => first,
            n => others[n - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_purpose_give_the_same_numbers_and_others_do_not() {
        let draw = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            [dice.next(), dice.next(), dice.next()]
        };
        assert_eq!(draw(7, "lag"), draw(7, "lag"));
        assert_ne!(draw(7, "lag"), draw(8, "lag"));
        assert_ne!(draw(7, "lag"), draw(7, "crash"));
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_them() {
        let mut dice = Dice::new(1, "bounds");
        let drawn: std::collections::BTreeSet<i64> = (0..200).map(|_| dice.from(-2, 3)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2, 3]);
        assert!(!(0..100).any(|_| dice.once_in(0)));
    }
}
