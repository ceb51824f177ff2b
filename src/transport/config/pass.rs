//! One reading of all blocks for one host: which of them are for it.

use super::criterion::{Criterion, Subject};
use super::draft::Draft;
use super::file::{Block, Condition, Test};
use super::origin::Origin;
use super::problem::Impossible;
use super::ssh::{Silence, Ssh};
use crate::transport::known_hosts::pattern::matches_list;

/// One reading of all blocks for one host.
pub(super) struct Pass<'a> {
    pub(super) ssh: &'a Ssh,
    pub(super) local_user: &'a str,
    /// What `Host` patterns are for: the name asked for, and in a second reading what it has become.
    pub(super) host: &'a str,
    /// It is the second reading, which `Match final` or `CanonicalizeHostname` asked for.
    pub(super) last: bool,
    /// What the conditions of the last block came to, from the outermost: each is decided once, before the settings under
    /// it, and holds on after an `Include`.
    decided: Vec<(usize, bool)>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(ssh: &'a Ssh, local_user: &'a str, host: &'a str, last: bool) -> Self {
        Self { ssh, local_user, host, last, decided: Vec::new() }
    }

    /// Takes in the blocks that are for the host. Of the first `foreign` ones nothing that is about one host.
    pub(super) fn read<'b>(&mut self, blocks: &'b [Block], foreign: usize, draft: &mut Draft<'b>) {
        for (number, block) in blocks.iter().enumerate() {
            if self.applies(&block.conditions, draft) {
                let mine = |item: &super::file::Item| number >= foreign || !item.is_about_one_host();
                block.entries.iter().filter(|entry| mine(&entry.item)).for_each(|entry| draft.take(entry));
            }
        }
    }

    fn applies(&mut self, conditions: &[Condition], draft: &mut Draft<'_>) -> bool {
        for (depth, condition) in conditions.iter().enumerate() {
            let known = self.decided.get(depth).filter(|(id, _)| *id == condition.id).map(|(_, holds)| *holds);
            let holds = known.unwrap_or_else(|| {
                let holds = self.holds(condition, draft);
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

    fn holds(&mut self, condition: &Condition, draft: &mut Draft<'_>) -> bool {
        match &condition.test {
            Test::Host(patterns) => matches_list(patterns, self.host),
            Test::Match(criteria) => {
                // What costs nothing first.
                let asks = |criterion: &&Criterion| matches!(criterion.subject, Subject::Asked(_) | Subject::Command);
                criteria.iter().filter(|criterion| !asks(criterion)).all(|criterion| self.plain(criterion, draft))
                    && criteria.iter().filter(asks).all(|criterion| self.asked(criterion, &condition.origin, draft))
            }
        }
    }

    fn plain(&self, criterion: &Criterion, draft: &Draft<'_>) -> bool {
        match &criterion.subject {
            Subject::All => !criterion.negated,
            Subject::Final | Subject::Canonical => self.last != criterion.negated,
            Subject::Host => criterion.holds_for_name(draft.options.host_name.as_deref().unwrap_or(self.host)),
            Subject::OriginalHost => criterion.holds_for_name(draft.original),
            Subject::User => criterion.holds(draft.user()),
            Subject::LocalUser => criterion.holds(self.local_user),
            Subject::Tagged => criterion.holds(draft.options.tag.as_deref().unwrap_or_default()),
            // gsctl always has a command.
            Subject::SessionType => criterion.holds("exec"),
            Subject::Command | Subject::Asked(_) => true,
        }
    }

    fn asked(&self, criterion: &Criterion, origin: &Origin, draft: &mut Draft<'_>) -> bool {
        let answer = match &criterion.subject {
            Subject::Asked(text) => self.ssh.holds(draft.question(text), text),
            _ => Err(Silence {
                cause: "over one connection gsctl runs more commands than one".to_owned(),
                hint: "match by `host`, `user` or `sessiontype exec`",
            }),
        };
        answer.map_or_else(
            |silence| {
                draft.options.impossible.get_or_insert_with(|| undecided("Match", origin, silence));
                false
            },
            |holds| holds != criterion.negated,
        )
    }
}

/// A line whose meaning for a host nobody can tell.
pub(super) fn undecided(keyword: &str, origin: &Origin, silence: Silence) -> Impossible {
    let Silence { cause, hint } = silence;
    Impossible { origin: origin.clone(), message: format!("`{keyword}`: {cause}"), hint: Some(hint.to_owned()) }
}
