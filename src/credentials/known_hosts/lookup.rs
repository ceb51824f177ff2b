//! Finds the lines that a text stands in.
//!
//! The texts themselves are not kept: with a hundred thousand lines each is worth eight bytes.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

/// Lines by texts.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// A part of the text's hash, and the line's number.
    table: HashTable<(u32, u32)>,
    hasher: RandomState,
}

impl Lookup {
    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.table.reserve(more, |(hash, _)| spread(*hash));
    }

    /// Notes that the text stands in the line.
    pub(super) fn add(&mut self, text: &str, line: u32) {
        let hash = self.hash(text);
        self.table.insert_unique(spread(hash), (hash, line), |(hash, _)| spread(*hash));
    }

    /// Lines that the text may stand in, in no order: few others are among them.
    pub(super) fn candidates(&self, text: &str) -> impl Iterator<Item = u32> {
        let hash = self.hash(text);
        self.table.iter_hash(spread(hash)).filter(move |(own, _)| *own == hash).map(|(_, line)| *line)
    }

    fn hash(&self, text: &str) -> u32 {
        // Of 64 bits as good as any.
        u32::try_from(self.hasher.hash_one(text) >> 32).unwrap_or_default()
    }
}

/// The table looks at both ends of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_text_is_found() {
        let mut lookup = Lookup::default();
        for line in 0..10_000 {
            lookup.add(&format!("node{}", line % 1000), line);
        }
        let mut found: Vec<u32> = lookup.candidates("node7").filter(|line| line % 1000 == 7).collect();
        found.sort_unstable();
        assert_eq!(found, [7, 1007, 2007, 3007, 4007, 5007, 6007, 7007, 8007, 9007]);
        assert_eq!(Lookup::default().candidates("node7").count(), 0);
    }
}
