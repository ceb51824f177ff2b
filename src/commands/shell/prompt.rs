//! The prompt of the shell: how many hosts are there, and which were lost.

use super::Session;
use crate::inventory::hostset::fold;
use crate::reporter::{plural, sanitize};

/// Names of lost hosts in a prompt that is wider than this are cut.
const LONGEST_NAMES: usize = 24;

impl Session<'_> {
    /// `3 hosts> `, `2 of 3 hosts, node2 lost> `.
    pub(super) fn prompt(&mut self) -> String {
        let lost = self.kept.lost();
        let count = self.chosen.iter().filter(|host| !lost.contains(&&*host.name)).count();
        prompt(count, self.all.hosts.len(), &lost)
    }
}

fn prompt(there: usize, of: usize, lost: &[&str]) -> String {
    let count = if there == of { plural::hosts(of) } else { format!("{there} of {}", plural::hosts(of)) };
    if lost.is_empty() {
        return format!("{count}> ");
    }
    let names = sanitize::words(&fold(lost));
    let gone = if names.chars().count() <= LONGEST_NAMES { names } else { lost.len().to_string() };
    format!("{count}, {gone} lost> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts() {
        assert_eq!(prompt(3, 3, &[]), "3 hosts> ");
        assert_eq!(prompt(1, 1, &[]), "1 host> ");
        assert_eq!(prompt(2, 3, &[]), "2 of 3 hosts> ");
        assert_eq!(prompt(2, 3, &["node2"]), "2 of 3 hosts, node2 lost> ");
        assert_eq!(prompt(198, 200, &["db7", "db9"]), "198 of 200 hosts, db[7,9] lost> ");
        let many: Vec<String> = (1..9).map(|n| format!("r{n}-node-{}", n * 7)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(prompt(192, 200, &many), "192 of 200 hosts, 8 lost> ");
    }
}
