//! The `wait` action.
//!
//! Must not wait: only reads what is waited for.

use std::time::Duration;

use super::condition::{Test, condition, verdicts};
use super::node::{Fields, Node, Text};
use super::problem::Complaint;
use super::scope::Scope;
use crate::plan::{Condition, Look, Quorum, Rule, Until, Wait};
use crate::text::did_you_mean;

pub(super) const KEYS: [&str; 11] =
    ["chain", "probe", "run", "until", "quorum", "every", "timeout", "looks", "give_up", "hint", "evidence"];
const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(600);

/// Reads a `wait`.
pub(super) fn wait(scope: &Scope<'_>, node: &Node) -> Result<Wait, Complaint> {
    let fields = node.fields("`wait`", &KEYS)?;
    let (until, quorum) = match (fields.entry("chain"), fields.entry("until")) {
        (Some((key, chain)), None) => {
            if !scope.has_chain {
                return Err(Complaint::new(key.at, "`wait` for the chain, but the playbook has none")
                    .hint("define its stages under `chain`"));
            }
            if let Some((key, _)) = fields.entry("quorum") {
                return Err(Complaint::new(key.at, "`quorum` beside `chain`").hint("write it as `chain: majority`"));
            }
            (Until::Chain, quorum(scope, &chain.text("`chain`")?)?)
        }
        (None, Some((_, until))) => {
            let count = fields.text("quorum")?.map(|text| quorum(scope, &text)).transpose()?;
            (Until::Condition(facts_only(scope, until)?), count.unwrap_or(Quorum::All))
        }
        (Some((_, _)), Some((key, _))) => {
            return Err(Complaint::new(key.at, "`until` beside `chain`, expected one of them"));
        }
        (None, None) => return Err(Complaint::new(fields.at, "`wait` has neither `chain` nor `until`")),
    };
    let every = scope.time(&fields, "every")?.unwrap_or(EVERY);
    if every.is_zero() {
        let at = fields.get("every").map_or(fields.at, |node| node.at);
        return Err(Complaint::new(at, "`every` must be more than nothing").hint("write a time such as `1s`"));
    }
    let mut give_up = Vec::new();
    if let Some(node) = fields.get("give_up") {
        give_up = on_facts(node, "`give_up`", verdicts(scope, node, "`give_up`", true)?)?;
    }
    Ok(Wait {
        look: look(scope, &fields)?,
        until,
        patient: false,
        quorum,
        every,
        timeout: scope.time(&fields, "timeout")?.unwrap_or(TIMEOUT),
        looks: fields.text("looks")?.map(|text| looks(&text)).transpose()?,
        give_up,
        hint: scope.optional(&fields, "hint")?,
        evidence: fields.get("evidence").map(|node| scope.command(node, "`evidence`").map(Look::Run)).transpose()?,
    })
}

/// Rules about what a probe said: they cannot look at files themselves.
pub(super) fn on_facts(node: &Node, what: &str, rules: Vec<Rule>) -> Result<Vec<Rule>, Complaint> {
    if let Some(rule) = rules.iter().find(|rule| looks_at_files(&rule.when)) {
        let message = format!("{what} tests a file (\"{}\"), expected facts", rule.because);
        return Err(Complaint::new(node.at, message).hint("let the probe print a fact about the file"));
    }
    Ok(rules)
}

fn look(scope: &Scope<'_>, fields: &Fields<'_>) -> Result<Look, Complaint> {
    match (fields.text("probe")?, fields.entry("run")) {
        (Some(_), Some((run, _))) => Err(Complaint::new(run.at, "`run` beside `probe`, expected one of them")),
        (Some(probe), None) => Ok(Look::Probe(scope.probe(&probe)?)),
        (None, Some((_, run))) => Ok(Look::Run(scope.command(run, "`run`")?)),
        (None, None) => match scope.probes.as_slice() {
            [only] => Ok(Look::Probe((*only).to_owned())),
            [] => {
                Err(Complaint::new(fields.at, "`wait` has nothing to look at: no `run`, and the playbook has no probe"))
            }
            _ => Err(Complaint::new(fields.at, "`wait` does not say which probe looks")
                .hint(format!("write `probe: {}`", scope.probes[0]))),
        },
    }
}

fn facts_only(scope: &Scope<'_>, node: &Node) -> Result<Condition, Complaint> {
    match condition(scope, node, "`until`")? {
        Test::Never => Err(Complaint::new(node.at, "`until` can never hold with the variables of this run")),
        Test::Where(when) if looks_at_files(&when) => {
            Err(Complaint::new(node.at, "`until` tests a file, expected facts").hint(
                "let the probe print a fact about the file, or use `run: test -e FILE` and the fact `exit_status`",
            ))
        }
        Test::Where(when) => Ok(when),
    }
}

fn looks(text: &Text) -> Result<u32, Complaint> {
    match text.value.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(Complaint::new(text.at, format!("`{}` is no number of looks, expected 1 or more", text.value))),
    }
}

fn looks_at_files(when: &Condition) -> bool {
    !when.exists.is_empty() || !when.missing.is_empty()
}

pub(super) fn quorum(scope: &Scope<'_>, text: &Text) -> Result<Quorum, Complaint> {
    let value = scope.now(text)?;
    match value.as_str() {
        "all" => Ok(Quorum::All),
        "majority" => Ok(Quorum::Majority),
        "any" => Ok(Quorum::Any),
        number => match number.parse() {
            Ok(count) if count > 0 => Ok(Quorum::Count(count)),
            _ => {
                let message = format!("`{value}` is no number of hosts, expected `all`, `majority`, `any` or a count");
                Err(Complaint::new(text.at, message).maybe_hint(did_you_mean(&value, ["all", "majority", "any"])))
            }
        },
    }
}
