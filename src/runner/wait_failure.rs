//! Why a host, or the cluster, is not where a wait wanted it, in words.

use std::time::{Duration, Instant};

use crate::duration::human;
use crate::outcome::{Facts, Failure, Phase};
use crate::plan::{Template, Until, Wait};

use super::Run;
use super::condition::{first_missing, said};
use super::executor::Executor;
use super::wait_checks::timed_out_failure;
use super::waiting::WaitingHost;

/// So often, a stage that was there and is missing again comes and goes.
const SEVERAL: u32 = 2;

impl<C: Executor> Run<'_, C> {
    /// Words for a host whose time ran out; `cut`: sooner than was meant for it.
    pub(super) fn not_there(&self, wait: &Wait, host: &WaitingHost, now: Instant, cut: bool) -> Failure {
        let known = &self.hosts[host.host];
        let limit = human(wait.timeout);
        if let Until::Checks = wait.until {
            return timed_out_failure(host, wait.timeout, cut, known.address.is_some());
        }
        if let Some(trouble) = &host.trouble {
            // Its phase stays: a node that was lost is no node that answered.
            let cause = format!("not {} after {limit}: the last look failed: {}", self.plan.end_word(), trouble.cause);
            return Failure { cause, ..trouble.clone() };
        }
        let vars = &known.run_host.vars;
        let hint = wait.hint.as_ref().map(|hint| hint.render_words(vars, &known.facts));
        // What holds now, if not for long enough to give up on, is still the best guess.
        let rules = wait.give_up.iter().zip(&host.held);
        let guess = rules.filter(|(_, since)| since.is_some()).find_map(|(rule, _)| rule.hint.as_ref());
        let guess = guess.map(|hint| hint.render_words(vars, &known.facts));
        let (cause, hint) = match (&wait.until, first_missing(&known.chain)) {
            (Until::Chain, Some(stage)) => {
                if wait.looks.is_some() {
                    let value = stage.value.as_deref().unwrap_or("unknown");
                    let cause = format!("{}: {value}", stage.stage);
                    return Failure { hint: stage.hint.clone().or(hint), ..Failure::new(phase(&wait.until), cause) };
                }
                let age = match (host.setbacks, (now - host.stuck).as_secs()) {
                    // What comes and goes has been missing for no time at all when it is looked at last.
                    (SEVERAL.., _) => "again and again".to_owned(),
                    (_, age) => format!("for {}", human(Duration::from_secs(age))),
                };
                let value = stage.value.as_deref().unwrap_or("unknown");
                let why = if cut { "no longer waited for, as another host is beyond help; " } else { "" };
                let missing = if stage.is_condition() { "first stage not reached" } else { "first missing stage" };
                (format!("{why}{missing}: {} ({value}), {age}", stage.stage), stage.hint.clone().or(hint))
            }
            (Until::Chain, None) | (Until::Checks, _) => (format!("not {} after {limit}", self.plan.end_word()), hint),
            (Until::Condition(condition), _) => {
                (unmet(condition, &known.facts, vars, &after(wait)), told(condition, &known.facts).or(hint))
            }
        };
        Failure { hint: guess.or(hint), ..Failure::new(phase(&wait.until), cause) }
    }
}

/// When a wait was over: `after 600s`.
fn after(wait: &Wait) -> String {
    if wait.looks.is_some() { "now".to_owned() } else { format!("after {}", human(wait.timeout)) }
}

/// `cluster_state is Degraded after 600s, wanted Normal`.
pub(super) fn unmet(
    condition: &crate::plan::Condition,
    facts: &Facts,
    vars: &crate::plan::Vars,
    after: &str,
) -> String {
    let value = |fact: &str| facts.get(fact).map_or("unknown", String::as_str).to_owned();
    let told = |fact: &str| with_note(&value(fact), said(facts, "note", fact));
    let words = |templates: &[Template]| {
        let words: indexmap::IndexSet<String> = templates.iter().map(|template| template.render_plain(vars)).collect();
        words.into_iter().collect::<Vec<_>>().join(" or ")
    };
    let unmet: Vec<String> = condition
        .facts
        .iter()
        .filter(|(fact, wanted)| !wanted.iter().any(|wanted| wanted.render_plain(vars) == value(fact)))
        .map(|(fact, wanted)| format!("{fact} is {} {after}, wanted {}", told(fact), words(wanted)))
        .chain(
            condition
                .not
                .iter()
                .filter(|(fact, unwanted)| unwanted.iter().any(|unwanted| unwanted.render_plain(vars) == value(fact)))
                .map(|(fact, _)| format!("{fact} is still {} {after}", value(fact))),
        )
        .collect();
    if unmet.is_empty() { format!("not there {after}") } else { unmet.join("; ") }
}

/// `electing (the former primary of cm_server is missing)`.
pub(super) fn with_note(value: &str, note: Option<String>) -> String {
    note.map_or_else(|| value.to_owned(), |note| format!("{value} ({note})"))
}

/// What the probe says to do about the facts of a condition.
pub(super) fn told(condition: &crate::plan::Condition, facts: &Facts) -> Option<String> {
    condition.facts.iter().chain(&condition.not).find_map(|(fact, _)| said(facts, "hint", fact))
}

/// The fact that a condition is about.
pub(super) fn waited_for(condition: &crate::plan::Condition) -> String {
    let fact = condition.facts.first().or(condition.not.first()).map(|(fact, _)| fact.clone());
    fact.unwrap_or_else(|| "exit_status".to_owned())
}

/// What a wait was about, where it did not come true.
pub(super) fn phase(until: &Until) -> Phase {
    match until {
        Until::Chain => Phase::Chain,
        Until::Checks | Until::Condition(_) => Phase::Check,
    }
}
