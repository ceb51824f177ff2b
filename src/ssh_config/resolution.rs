//! One reading of all blocks for one host: which of them are for it.

use super::criterion::{MatchCriterion, MatchSubject};
use super::file::{Block, Condition, MatchTest};
use super::openssh_query::{OpensshQuery, QueryError};
use super::origin::Origin;
use super::problem::Impossible;
use super::raw_options::RawOptions;
use crate::credentials::known_hosts::pattern::matches_list;

/// One reading of all blocks for one host.
pub(super) struct Resolution<'a> {
    pub(super) ssh: &'a OpensshQuery,
    pub(super) local_user: &'a str,
    /// What `Host` patterns are for: the name asked for, and in a second reading what it has become.
    pub(super) host: &'a str,
    /// It is the second reading, which `Match final` or `CanonicalizeHostname` asked for.
    pub(super) last: bool,
    /// What the conditions of the last block came to, from the outermost: each is decided once, before the settings under
    /// it, and holds on after an `Include`.
    decided: Vec<(usize, bool)>,
}

impl<'a> Resolution<'a> {
    pub(super) fn new(ssh: &'a OpensshQuery, local_user: &'a str, host: &'a str, last: bool) -> Self {
        Self { ssh, local_user, host, last, decided: Vec::new() }
    }

    /// Takes in the blocks that are for the host. Of the first `foreign` ones nothing that is about one host.
    pub(super) fn read<'b>(&mut self, blocks: &'b [Block], foreign: usize, raw: &mut RawOptions<'b>) {
        for (number, block) in blocks.iter().enumerate() {
            if self.applies(&block.conditions, raw) {
                let mine = |item: &super::file::Item| number >= foreign || !item.is_about_one_host();
                block.entries.iter().filter(|entry| mine(&entry.item)).for_each(|entry| raw.take(entry));
            }
        }
    }

    fn applies(&mut self, conditions: &[Condition], raw: &mut RawOptions<'_>) -> bool {
        for (depth, condition) in conditions.iter().enumerate() {
            let known = self.decided.get(depth).filter(|(id, _)| *id == condition.id).map(|(_, holds)| *holds);
            let holds = known.unwrap_or_else(|| {
                let holds = self.holds(condition, raw);
                self.decided.truncate(depth);
                self.decided.push((condition.id, holds));
                holds
            });
            if !holds {
                return false;
            }
        }
        true
    }

    fn holds(&mut self, condition: &Condition, raw: &mut RawOptions<'_>) -> bool {
        match &condition.test {
            MatchTest::Host(patterns) => matches_list(patterns, self.host),
            MatchTest::Match(criteria) => {
                // What costs nothing first.
                let asks = |criterion: &&MatchCriterion| {
                    matches!(criterion.subject, MatchSubject::Asked(_) | MatchSubject::Command)
                };
                criteria.iter().filter(|criterion| !asks(criterion)).all(|criterion| self.plain(criterion, raw))
                    && criteria.iter().filter(asks).all(|criterion| self.asked(criterion, &condition.origin, raw))
            }
        }
    }

    fn plain(&self, criterion: &MatchCriterion, raw: &RawOptions<'_>) -> bool {
        match &criterion.subject {
            MatchSubject::All => !criterion.negated,
            MatchSubject::Final | MatchSubject::Canonical => self.last != criterion.negated,
            MatchSubject::Host => criterion.holds_for_name(raw.options.host_name.as_deref().unwrap_or(self.host)),
            MatchSubject::OriginalHost => criterion.holds_for_name(raw.original),
            MatchSubject::User => criterion.holds(raw.user()),
            MatchSubject::LocalUser => criterion.holds(self.local_user),
            MatchSubject::Tagged => criterion.holds(raw.options.tag.as_deref().unwrap_or_default()),
            // gsctl always has a command.
            MatchSubject::SessionType => criterion.holds("exec"),
            MatchSubject::Command | MatchSubject::Asked(_) => true,
        }
    }

    fn asked(&self, criterion: &MatchCriterion, origin: &Origin, raw: &mut RawOptions<'_>) -> bool {
        let answer = match &criterion.subject {
            MatchSubject::Asked(text) => self.ssh.holds(raw.question(text), text),
            _ => Err(QueryError {
                cause: "over one connection gsctl runs more commands than one".to_owned(),
                hint: "match by `host`, `user` or `sessiontype exec`",
            }),
        };
        answer.map_or_else(
            |silence| {
                raw.options.impossible.get_or_insert_with(|| undecided("Match", origin, silence));
                false
            },
            |holds| holds != criterion.negated,
        )
    }
}

/// A line whose meaning for a host nobody can tell.
pub(super) fn undecided(keyword: &str, origin: &Origin, silence: QueryError) -> Impossible {
    let QueryError { cause, hint } = silence;
    Impossible { origin: origin.clone(), message: format!("`{keyword}`: {cause}"), hint: Some(hint.to_owned()) }
}
