//! The tests of a `Match` line.
//!
//! Of those that gsctl cannot make by itself the text is kept, for the installed `ssh`.

use super::arguments::Word;
use crate::credentials::known_hosts::pattern::matches_list;

/// One test of a `Match` line.
#[derive(Debug, Clone)]
pub(super) struct MatchCriterion {
    pub(super) negated: bool,
    pub(super) subject: MatchSubject,
    patterns: Vec<String>,
}

/// What is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MatchSubject {
    All,
    Host,
    OriginalHost,
    User,
    LocalUser,
    Tagged,
    SessionType,
    /// Whether files are read a second time. That they are is what `final` itself asks for.
    Final,
    /// The same, but it asks for nothing.
    Canonical,
    /// `command`: which of a connection's many would it be?
    Command,
    /// `exec`, `localnetwork` or `version`: for ssh, in its words.
    Asked(String),
}

impl MatchCriterion {
    /// True when the text is what the criterion wants.
    pub(super) fn holds(&self, text: &str) -> bool {
        matches_list(&self.patterns, text) != self.negated
    }

    /// The same for the name of a host, whose letters may be large or small.
    pub(super) fn holds_for_name(&self, name: &str) -> bool {
        let patterns: Vec<String> = self.patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
        matches_list(&patterns, &name.to_ascii_lowercase()) != self.negated
    }

    /// The tests that the words after `Match` stand for.
    pub(super) fn parse(words: &[Word<'_>]) -> Result<Vec<Self>, String> {
        let mut words = words.iter();
        let mut criteria = Vec::new();
        while let Some(word) = words.next() {
            let (name, inline) = match word.text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.text.as_str(), None),
            };
            let (negated, attribute) = name.strip_prefix('!').map_or((false, name), |rest| (true, rest));
            let mut argument = || {
                let next = inline.map(str::to_owned).or_else(|| words.next().map(|next| next.text.clone()));
                next.ok_or_else(|| format!("`Match {attribute}` wants a pattern"))
            };
            let attribute_lower = attribute.to_ascii_lowercase();
            let subject = match attribute_lower.as_str() {
                "all" => MatchSubject::All,
                "canonical" => MatchSubject::Canonical,
                "final" => MatchSubject::Final,
                "host" => MatchSubject::Host,
                "originalhost" => MatchSubject::OriginalHost,
                "user" => MatchSubject::User,
                "localuser" => MatchSubject::LocalUser,
                "tagged" => MatchSubject::Tagged,
                "sessiontype" => MatchSubject::SessionType,
                "command" => MatchSubject::Command,
                "exec" | "localnetwork" | "version" => {
                    let own = word.raw.trim_start_matches('!');
                    let raw = if inline.is_some() {
                        own.to_owned()
                    } else {
                        let next = words.next().ok_or_else(|| format!("`Match {attribute}` wants a value"))?;
                        format!("{own} {}", next.raw)
                    };
                    criteria.push(Self { negated, subject: MatchSubject::Asked(raw), patterns: Vec::new() });
                    continue;
                }
                _ => return Err(format!("`Match` knows no `{attribute}`")),
            };
            let patterns = match subject {
                MatchSubject::All | MatchSubject::Canonical | MatchSubject::Final => Vec::new(),
                _ => argument()?.split(',').map(str::to_owned).collect(),
            };
            criteria.push(Self { negated, subject, patterns });
        }
        let all = |criterion: &Self| criterion.subject == MatchSubject::All;
        let beside = |criterion: &Self| !matches!(criterion.subject, MatchSubject::Canonical | MatchSubject::Final);
        if criteria.iter().any(all) && criteria.iter().filter(|criterion| beside(criterion)).count() > 1 {
            return Err("`Match all` goes with `canonical` and `final` only".to_owned());
        }
        Ok(criteria)
    }
}
