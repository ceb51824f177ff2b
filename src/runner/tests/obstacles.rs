//! Preflights that find what keeps hosts down, on the played fleet.

use super::waits::{CAUSES, DOWN, UP, chain_wait, start};
use super::*;
use crate::plan::{Condition, Need, Probe, Quorum};

fn need(quorum: Quorum, up_to: Option<&str>) -> Need {
    Need { quorum, of: Condition::default(), up_to: up_to.map(str::to_owned) }
}

/// A look, a change and a wait for the chain.
fn watched(needs: Vec<Need>) -> Plan {
    let look = Action::Probe { probe: "before".to_owned(), refuse: Vec::new(), warn: Vec::new() };
    let look = Step { need: needs, ..Step::new("look at every node", look) };
    let mut plan = start(vec![look, touch_step("mark"), chain_wait(seconds(600))]);
    let probe = Probe { source: "before.sh".to_owned(), script: "echo before".into(), states: Vec::new() };
    plan.probes.insert("before".to_owned(), probe);
    plan.causes = crate::cause::Catalogue::read(CAUSES).expect("it is right");
    plan
}

/// Hosts that find this before the start, and are up after so many looks.
fn hosts(finds: &'static [&'static str], up_after: &'static [usize]) -> impl FnMut(HostId, &str) -> Reaction {
    let mut looks = vec![0; finds.len()];
    move |host, text| {
        if text.contains("echo before") {
            return Reaction::ok(finds[host]);
        }
        if !text.contains("echo node") {
            return Reaction::ok("");
        }
        looks[host] += 1;
        Reaction::ok(if looks[host] > up_after[host] { UP } else { DOWN })
    }
}

fn warnings(played: &Played) -> Vec<String> {
    let of = |(event, _): &(Event, RunStats)| match &event.kind {
        EventKind::Warning { message } => Some(message.clone()),
        _ => None,
    };
    played.recorder.events.iter().filter_map(of).collect()
}

const NEVER: usize = usize::MAX;
const RISK: &str = "risk_X01=df: 91% full\n";
/// A look that says nothing at all is none.
const SOUND: &str = "state=stopped\n";
const EMPTY: &str = "obstacle_X01=/data/base: it is empty\n";

#[test]
fn who_cannot_come_up_is_said_before_the_first_change_and_not_waited_for() {
    // The others get all the time that they need.
    let script = hosts(&[SOUND, EMPTY, SOUND], &[40, NEVER, 2]);
    let played = Play::new(watched(vec![need(Quorum::Majority, None)]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Changed, Outcome::Failed, Outcome::Changed]);
    assert_eq!(played.finished.stats.exit_status(), crate::exit::ExitStatus::Failed);
    assert!(played.finished.elapsed < seconds(60), "{:?}", played.finished.elapsed);
    let failure = played.failure(1);
    assert!(failure.cause.contains("not waited for") && failure.cause.contains("/data/base: it is empty"), "{failure}");
    assert!(failure.cause.contains("X01 broken for good"), "{failure}");
    assert_eq!(failure.hint.as_deref(), Some("mend it"));
    let cause = played.finished.hosts[1].cause.as_ref().expect("it is known");
    assert_eq!((cause.id.as_deref(), cause.stage.as_deref()), (Some("X01"), Some("database")));
    let proof = cause.proof.as_ref().expect("it was seen");
    assert_eq!((proof.file.as_str(), proof.lines.as_slice()), ("/data/base", &["it is empty".to_owned()][..]));
    let place =
        |is_it: &dyn Fn(&EventKind) -> bool| played.recorder.events.iter().position(|(event, _)| is_it(&event.kind));
    let said =
        place(&|kind| matches!(kind, EventKind::Warning { message } if message.starts_with("n1: will not come up")));
    let touched = place(&|kind| matches!(kind, EventKind::HostStepStarted { step: 1, .. }));
    assert!(said.is_some() && said < touched, "{said:?} {touched:?}");
}

#[test]
fn a_start_that_cannot_succeed_is_refused_and_touches_nothing() {
    let script = || hosts(&[SOUND, EMPTY, EMPTY], &[1, NEVER, NEVER]);
    let needs = || vec![need(Quorum::Majority, None)];
    let played = Play::new(watched(needs()), 3, script()).run();
    assert_eq!(played.outcomes(), [Outcome::Skipped, Outcome::Refused, Outcome::Refused]);
    assert_eq!(played.finished.stats.exit_status(), crate::exit::ExitStatus::Refused);
    assert!((0..3).all(|host| played.jobs(host).len() == 1));
    let cause = played.finished.hosts[2].cause.as_ref().expect("it is known");
    assert_eq!(cause.id.as_deref(), Some("X01"));
    let failure = played.failure(2);
    assert!(failure.cause.starts_with("X01 broken for good: /data/base"), "{failure}");
    assert_eq!(failure.hint.as_deref(), Some("mend it; `--force` starts all the same"));
    assert!(warnings(&played).contains(&"1 of 3 hosts can come up, and it takes 2".to_owned()));
    // Told to, it goes on, and waits for all: who says so may know better.
    let played =
        Play::new(watched(needs()), 3, hosts(&[SOUND, EMPTY, EMPTY], &[1, 30, 30])).set(|s| s.force = true).run();
    assert_eq!(played.outcomes(), [Outcome::Changed; 3]);
    assert!(
        warnings(&played)
            .iter()
            .any(|said| said.starts_with("n1, n2: may not come up, and is waited for because of --force"))
    );
}

#[test]
fn an_obstacle_of_a_later_stage_does_not_count_for_an_earlier_one() {
    let needs = vec![need(Quorum::Majority, Some("agent")), need(Quorum::Any, None)];
    let played = Play::new(watched(needs.clone()), 3, hosts(&[SOUND, EMPTY, EMPTY], &[1, NEVER, NEVER])).run();
    assert_eq!(played.outcomes(), [Outcome::Changed, Outcome::Failed, Outcome::Failed]);
    let script = hosts(&[SOUND, "obstacle_X03=/bin: gone\n", "obstacle_X03=/bin: gone\n"], &[1, NEVER, NEVER]);
    let played = Play::new(watched(needs), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Skipped, Outcome::Refused, Outcome::Refused]);
    assert!(warnings(&played).contains(&"1 of 3 hosts can come up as far as agent, and it takes 2".to_owned()));
}

#[test]
fn who_comes_up_all_the_same_is_up_and_a_risk_is_only_said() {
    let played =
        Play::new(watched(vec![need(Quorum::Majority, None)]), 3, hosts(&[SOUND, EMPTY, SOUND], &[9, 3, 9])).run();
    assert_eq!(played.outcomes(), [Outcome::Changed; 3]);
    let script = hosts(&[RISK, RISK, SOUND], &[9, 30, 9]);
    let played = Play::new(watched(vec![need(Quorum::Majority, None)]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Changed; 3]);
    let said = warnings(&played);
    assert_eq!(said, ["n0, n1: may not come up: X01 broken for good: df: 91% full: mend it"]);
}

#[test]
fn a_thousand_with_one_obstacle_are_one_message() {
    let mut looks = vec![0; 1000];
    let script = move |host: HostId, text: &str| {
        looks[host] += usize::from(text.contains("echo node"));
        let is_hindered = host.is_multiple_of(3);
        Reaction::ok(match (text.contains("echo before"), text.contains("echo node")) {
            (true, _) => {
                if is_hindered {
                    EMPTY
                } else {
                    SOUND
                }
            }
            (_, true) => {
                if looks[host] > 3 && !is_hindered {
                    UP
                } else {
                    DOWN
                }
            }
            _ => "",
        })
    };
    let played = Play::new(watched(vec![need(Quorum::Majority, None)]), 1000, script).set(|s| s.fanout = 1000).run();
    assert_eq!(played.outcomes().iter().filter(|outcome| **outcome == Outcome::Failed).count(), 334);
    let said = warnings(&played);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(" and 326 more: will not come up"), "{said:?}");
}

#[test]
fn clocks_that_differ_are_said() {
    let script = hosts(&["clock_X01=1000\n", "clock_X01=1060\n", "clock_X01=1001\n"], &[1, 1, 1]);
    let played = Play::new(watched(vec![need(Quorum::Majority, None)]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Changed; 3]);
    let said = warnings(&played);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("n1: may not come up: X01") && said[0].contains("ahead of that of n2"), "{said:?}");
    // A look that takes long says little about the clock.
    let slow = |host: HostId, text: &str| match (host, text.contains("echo before")) {
        (1, true) => Reaction::ok("clock_X01=1012\n").after(seconds(20)),
        (_, true) => Reaction::ok("clock_X01=1000\n"),
        _ => Reaction::ok(if text.contains("echo node") { UP } else { "" }),
    };
    let played = Play::new(watched(vec![need(Quorum::Majority, None)]), 3, slow).run();
    assert!(warnings(&played).is_empty(), "{:?}", warnings(&played));
}
