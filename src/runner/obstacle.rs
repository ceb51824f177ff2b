//! Obstacles: what a preflight finds that will keep a host down, and risks, which may. Said before anything is changed; a host with an
//! obstacle is not waited for, and a run in which too few hosts can come up is refused.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::{EventKind, HostId, StepId};
use crate::outcome::cause::{Cause, Proof};
use crate::outcome::{Facts, Failure, Phase};
use crate::plan::Plan;
use crate::reactor::now;
use crate::text::joined_hints;

use super::Run;
use super::condition::{first_missing, holds};
use super::executor::Executor;
use super::host::HostState;
use super::preflight::named;
use super::wait::needed;

/// Facts that name an obstacle: `obstacle_OG36=WHERE: WORDS`, by the id of the cause.
const OBSTACLE: &str = "obstacle_";
/// The same of what is not certain.
const RISK: &str = "risk_";
/// `clock_OG90=SECONDS`: the node's clock, and the cause where clocks differ.
const CLOCK: &str = "clock_";
/// Seconds that the clocks of two hosts may be apart.
const APART: f64 = 2.0;

/// What a preflight found on a host, the earliest stage first.
#[derive(Debug, Default)]
pub(super) struct Obstacles {
    /// What keeps it down.
    pub(super) certain: Vec<Cause>,
    /// What may.
    risks: Vec<Cause>,
    /// It is not waited for.
    pub(super) hinders: bool,
    /// How far its clock is ahead of the time since the run began, at least and at most, and the cause that stands for it.
    clock: Option<Box<(String, f64, f64)>>,
}

/// What a host has that nothing was found on, or that was not asked.
static NONE: Obstacles = Obstacles { certain: Vec::new(), risks: Vec::new(), hinders: false, clock: None };

impl HostState {
    /// What a preflight found that will keep it down, or may.
    pub(super) fn obstacles(&self) -> &Obstacles {
        self.obstacles.as_deref().unwrap_or(&NONE)
    }

    fn obstacles_mut(&mut self) -> &mut Obstacles {
        self.obstacles.get_or_insert_default()
    }
}

impl Obstacles {
    /// The obstacle that explains why a host does not come up, if it is at this stage of so many.
    pub(super) fn behind(&self, missing: Option<usize>, plan: &Plan) -> Option<&Cause> {
        self.certain.iter().find(|cause| missing.is_none_or(|missing| stage_of(cause, plan) >= missing))
    }

    /// The risk about the very stage that is missing.
    pub(super) fn risk_of(&self, missing: usize, plan: &Plan) -> Option<&Cause> {
        self.risks.iter().find(|cause| stage_of(cause, plan) == missing)
    }
}

impl<C: Executor> Run<'_, C> {
    /// Takes in what a probe says of obstacles. What it says of the clock is of some moment since the probe began.
    pub(super) fn note_obstacles(&mut self, host: HostId, facts: &Facts, took: Duration) {
        let heard = now();
        let since = |at: Instant| at.saturating_duration_since(self.start).as_secs_f64();
        let clock = facts.iter().find_map(|(fact, seconds)| {
            let (id, seconds) = (fact.strip_prefix(CLOCK)?, seconds.parse::<f64>().ok()?);
            let asked = heard.checked_sub(took).unwrap_or(heard);
            Some(Box::new((id.to_owned(), seconds - since(heard), seconds + 1.0 - since(asked))))
        });
        let found = |prefix| causes(facts, prefix, self.plan);
        let obstacles = Obstacles { certain: found(OBSTACLE), risks: found(RISK), hinders: false, clock };
        *self.hosts[host].obstacles_mut() = obstacles;
    }

    /// Decides what the obstacles mean once all hosts were looked at: those that are refused because too few can come up. The run may
    /// be refused anyway.
    pub(super) fn hinder(
        &mut self,
        step: StepId,
        asked: &[HostId],
        can_refuse: bool,
        is_refused: bool,
    ) -> Vec<(HostId, Failure)> {
        self.compare_clocks(asked);
        let with: Vec<HostId> =
            asked.iter().copied().filter(|&id| !self.hosts[id].obstacles().certain.is_empty()).collect();
        let unmet = if can_refuse { self.unmet_need(step, asked) } else { None };
        let (words, is_sure) = match (&unmet, self.settings.force) {
            (Some(_), _) => ("cannot come up", true),
            (None, true) => ("may not come up, and is waited for because of --force", false),
            (None, false) if is_refused => ("would not come up either", true),
            (None, false) => ("will not come up, and is not waited for", true),
        };
        for &id in &with {
            self.hosts[id].obstacles_mut().hinders = is_sure;
        }
        if let Some(unmet) = unmet {
            self.emit(EventKind::Warning { message: unmet });
            let refused = |id: HostId| {
                let cause = &self.hosts[id].obstacles().certain[0];
                let mut failure = Failure::new(Phase::Check, in_full(cause));
                failure.hint = Some(joined_hints(cause.hint.as_deref(), "`--force` starts all the same"));
                (id, failure)
            };
            return with.into_iter().map(refused).collect();
        }
        self.tell(asked, words, |obstacles| &obstacles.certain);
        Vec::new()
    }

    /// Says what may keep hosts down.
    pub(super) fn tell_risks(&mut self, asked: &[HostId]) {
        self.tell(asked, "may not come up", |obstacles| &obstacles.risks);
    }

    /// One message for each cause, however many hosts have it, with what was seen on the first of them.
    fn tell(&mut self, asked: &[HostId], words: &str, which: impl Fn(&Obstacles) -> &Vec<Cause>) {
        let mut hosts: BTreeMap<(usize, String), (Vec<&str>, &Cause)> = BTreeMap::new();
        for host in asked.iter().map(|&id| &self.hosts[id]) {
            for cause in which(host.obstacles()) {
                let key = (stage_of(cause, self.plan), cause.words());
                hosts.entry(key).or_insert_with(|| (Vec::new(), cause)).0.push(&host.run_host.name);
            }
        }
        let told: Vec<String> = hosts
            .into_values()
            .map(|(names, cause)| {
                let hint = cause.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
                format!("{}: {words}: {}{hint}", named(&names), in_full(cause))
            })
            .collect();
        for message in told {
            self.emit(EventKind::Warning { message });
        }
    }

    /// The first need that is not met, in words.
    fn unmet_need(&self, step: StepId, asked: &[HostId]) -> Option<String> {
        self.plan.steps[step].need.iter().find_map(|need| {
            let last =
                need.up_to.as_ref().and_then(|name| self.plan.chain.iter().position(|stage| stage.name == *name));
            let is_able = |host: &HostState| {
                let looked_at = host.row_of(step).is_none_or(|row| row.outcome.is_success());
                let counts = |cause: &Cause| last.is_none_or(|last| stage_of(cause, self.plan) <= last);
                looked_at && !host.obstacles().certain.iter().any(counts)
            };
            let of = asked.iter().map(|&id| &self.hosts[id]);
            let of: Vec<&HostState> = of.filter(|host| holds(&need.of, &host.facts, &host.run_host.vars)).collect();
            let able = of.iter().filter(|host| is_able(host)).count();
            let wanted = needed(need.quorum, of.len());
            let is_hindered = of.iter().any(|host| !host.obstacles().certain.is_empty());
            let stage = need.up_to.as_ref().map(|stage| format!(" as far as {stage}")).unwrap_or_default();
            (able < wanted && is_hindered)
                .then(|| format!("{able} of {} hosts can come up{stage}, and it takes {wanted}", of.len()))
        })
    }

    /// Makes a risk of a clock that differs from most. Seconds between asking and hearing are no difference.
    fn compare_clocks(&mut self, asked: &[HostId]) {
        let clock_of =
            |id: &HostId| self.hosts[*id].obstacles().clock.as_deref().map(|(_, low, high)| (*id, *low, *high));
        let mut clocks: Vec<(HostId, f64, f64)> = asked.iter().filter_map(clock_of).collect();
        clocks.sort_by(|a, b| (a.1 + a.2).total_cmp(&(b.1 + b.2)));
        let Some(&(most, low, high)) = clocks.get(clocks.len() / 2) else { return };
        for (id, own_low, own_high) in clocks {
            let (apart, where_to) =
                if own_low > high { (own_low - high, "ahead of") } else { (low - own_high, "behind") };
            if apart < APART {
                continue;
            }
            let other = &self.hosts[most].run_host.name;
            let seen = format!("its clock is at least {apart:.0} s {where_to} that of {other}");
            if let Some((cause, ..)) = self.hosts[id].obstacles().clock.as_deref().cloned() {
                let cause = known(&cause, "date", &seen, self.plan);
                self.hosts[id].obstacles_mut().risks.push(cause);
            }
        }
    }

    /// Why a host that was not waited for did not come up.
    pub(super) fn not_waited_for(&self, host: HostId) -> Option<Failure> {
        let obstacles = self.hosts[host].obstacles();
        let cause = obstacles.certain.first().filter(|_| obstacles.hinders)?;
        let words = format!("not waited for, as it cannot come up ({})", seen(cause));
        Some(Failure { hint: cause.hint.clone(), ..Failure::new(Phase::Chain, words) })
    }

    /// What is behind a host that does not come up, by what it was found with: what a log proves since counts for more, but a line
    /// that no row knows counts for less.
    pub(super) fn explained(&self, host: HostId, found: Option<Box<Cause>>) -> Option<Box<Cause>> {
        if found.as_ref().is_some_and(|found| found.id.is_some()) {
            return found;
        }
        let known = &self.hosts[host];
        let missing = first_missing(&known.chain)
            .and_then(|missing| self.plan.chain.iter().position(|stage| stage.name == missing.stage));
        let boxed = |cause: &Cause| Box::new(cause.clone());
        let risk = || known.obstacles().risk_of(missing?, self.plan).map(boxed);
        known.obstacles().behind(missing, self.plan).map(boxed).or(found).or_else(risk)
    }
}

/// Which stage of the chain a cause holds back; what is not about one comes after all.
fn stage_of(cause: &Cause, plan: &Plan) -> usize {
    let of = |stage: &String| plan.chain.iter().position(|other| other.name == *stage);
    cause.stage.as_ref().and_then(of).unwrap_or(plan.chain.len())
}

/// The causes that facts of this kind name, the earliest stage first.
fn causes(facts: &Facts, prefix: &str, plan: &Plan) -> Vec<Cause> {
    let mut found: Vec<Cause> = facts
        .iter()
        .filter_map(|(fact, said)| Some((fact.strip_prefix(prefix)?, said)).filter(|(_, said)| !said.is_empty()))
        .map(|(id, said)| {
            let (place, words) = said.split_once(": ").unwrap_or(("", said));
            known(id, place, words, plan)
        })
        .collect();
    found.sort_by_key(|cause| stage_of(cause, plan));
    found
}

/// The row of the catalogue, with what was seen.
fn known(id: &str, place: &str, words: &str, plan: &Plan) -> Cause {
    let proof = Some(Proof { file: place.to_owned(), lines: vec![words.to_owned()], age_s: None });
    match plan.causes.row(id) {
        Some(row) => Cause {
            id: Some(row.id.clone()),
            stage: Some(row.stage.clone()),
            cause: row.cause.clone(),
            wait: Some(row.wait),
            hint: Some(row.hint.clone()),
            proof,
        },
        // A playbook of the user's may say more than its catalogue does.
        None => Cause { id: None, stage: None, cause: words.to_owned(), wait: None, hint: None, proof },
    }
}

/// `/data/dn1/base: it is empty`.
fn seen(cause: &Cause) -> String {
    cause.proof.as_ref().map(|proof| format!("{}: {}", proof.file, proof.lines.join(" "))).unwrap_or_default()
}

/// `OG36 the data directory is gone or not mounted: /data/dn1: it is not there`.
fn in_full(cause: &Cause) -> String {
    format!("{}: {}", cause.words(), seen(cause))
}
