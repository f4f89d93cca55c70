//! The segments of an archive, found by their keys.

/// Maximum number of segments that are found: 8 bytes of memory for each.
const KEYS_MAX: usize = 4 << 20;

/// Numbers of segments by their keys. It has a part of each key, so a found segment is only a candidate.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Sorted: 32 bits of a key above the 32 bits of a number.
    sorted: Vec<u64>,
}

impl Keys {
    /// Collects the keys of these segments, in any order. Leaves out those beyond the maximum.
    pub(super) fn add(&mut self, key: &[u8; 16], number: u64) {
        if self.sorted.len() < KEYS_MAX
            && let Ok(number) = u32::try_from(number)
        {
            self.sorted.push(part(key) << 32 | u64::from(number));
        }
    }

    /// Sorts the collected keys, before the first search.
    pub(super) fn sort(&mut self) {
        self.sorted.sort_unstable();
    }

    /// Returns the numbers of the segments that may have this key, those nearest to the number `near` first.
    pub(super) fn find(&self, key: &[u8; 16], near: u64) -> impl Iterator<Item = u64> {
        let (part, near) = (part(key), near.min(u32::MAX.into()));
        let mut after = self.sorted.partition_point(|entry| *entry < part << 32 | near);
        let mut before = after;
        let number = move |entry: Option<&u64>| {
            entry.filter(|entry| **entry >> 32 == part).map(|entry| entry & u64::from(u32::MAX))
        };
        std::iter::from_fn(move || {
            let below = number(before.checked_sub(1).and_then(|i| self.sorted.get(i)));
            let above = number(self.sorted.get(after));
            let is_below = match (below, above) {
                (Some(below), Some(above)) => near - below < above - near,
                _ => below.is_some(),
            };
            before -= usize::from(is_below);
            after += usize::from(!is_below && above.is_some());
            if is_below { below } else { above }
        })
    }
}

/// Returns the first 32 bits of a key.
fn part(key: &[u8; 16]) -> u64 {
    let (first, _) = key.split_first_chunk().expect("a key has 16 bytes");
    u32::from_le_bytes(*first).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u32, last: u8) -> [u8; 16] {
        let mut key = [last; 16];
        key[..4].copy_from_slice(&first.to_le_bytes());
        key
    }

    #[test]
    fn all_segments_with_the_same_part_of_a_key_are_found() {
        let mut keys = Keys::default();
        for (first, last, number) in [(9, 1, 5), (7, 1, 4), (u32::MAX, 0, 2), (7, 2, 1), (0, 0, 3)]
        {
            keys.add(&key(first, last), number);
        }
        keys.add(&key(1, 0), 1 << 32);
        keys.sort();
        let find = |first| keys.find(&key(first, 0), 0).collect::<Vec<_>>();
        assert_eq!(find(7), [1, 4]);
        assert_eq!((find(0), find(9), find(u32::MAX)), (vec![3], vec![5], vec![2]));
        assert_eq!(
            (find(1), find(8)),
            (vec![], vec![]),
            "a number that is too large, and no segment"
        );
    }

    #[test]
    fn the_nearest_segments_are_found_first() {
        let mut keys = Keys::default();
        for number in [10, 20, 30, 40] {
            keys.add(&key(7, 0), number);
            keys.add(&key(6, 0), number);
            keys.add(&key(8, 0), number);
        }
        keys.sort();
        let find = |near| keys.find(&key(7, 0), near).collect::<Vec<_>>();
        assert_eq!(find(0), [10, 20, 30, 40]);
        assert_eq!(find(30), [30, 40, 20, 10]);
        assert_eq!(find(24), [20, 30, 10, 40]);
        assert_eq!(find(u64::MAX), [40, 30, 20, 10]);
    }
}
