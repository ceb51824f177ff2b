//! Blocks that are done batch by batch.

use super::*;
use crate::plan::{Block, Condition, On, Probe, Rule, Share};

fn rolling(steps: Vec<Step>, size: usize, max_fail: usize) -> Plan {
    let mut plan = plan(steps);
    let probe = Probe { source: "look.sh".to_owned(), script: "echo look".into(), states: Vec::new() };
    plan.probes.insert("look".to_owned(), probe);
    plan.blocks = vec![Block {
        steps: 0..plan.steps.len(),
        serial: Share::Count(size),
        max_fail: Share::Count(max_fail),
        first: None,
        last: None,
    }];
    plan
}

fn look() -> Step {
    let refuse = vec![Rule {
        when: Condition { facts: vec![("state".to_owned(), vec![Template::literal("bad")])], ..Condition::default() },
        because: Template::literal("it is bad"),
        hint: None,
        after: Duration::ZERO,
    }];
    Step::new("look", Action::Probe { probe: "look".to_owned(), refuse, warn: Vec::new() })
}

/// The steps that hosts did, in the order in which they began.
fn order(played: &Played) -> Vec<String> {
    let begun = |kind: &EventKind| match kind {
        EventKind::HostStepStarted { host, step } => Some(format!("{host}:{step}")),
        _ => None,
    };
    played.recorder.events.iter().filter_map(|(event, _)| begun(&event.kind)).collect()
}

#[test]
fn all_steps_are_done_for_a_batch_before_the_next_begins() {
    let plan = rolling(vec![run_step("stop"), run_step("start")], 2, 0);
    let played = Play::new(plan, 4, |_: HostId, _: &str| Reaction::ok("")).run();
    assert_eq!(order(&played), ["0:0", "1:0", "0:1", "1:1", "2:0", "3:0", "2:1", "3:1"]);
    assert_eq!(played.outcomes(), [Outcome::Ok; 4]);
    assert_eq!(played.seen(|kind| matches!(kind, EventKind::BatchStarted { .. })), 2);
}

#[test]
fn batches_of_one_step_are_told_where_it_changes_something() {
    let told = |step: Step| {
        let mut plan = plan(vec![step]);
        plan.steps[0].serial = Some(Share::Count(2));
        let played = Play::new(plan, 5, |_: HostId, _: &str| Reaction::ok("")).run();
        played.seen(|kind| matches!(kind, EventKind::BatchStarted { of: 3, .. }))
    };
    assert_eq!(told(run_step("restart")), 3);
    assert_eq!(told(Step::new("ping", Action::Ping)), 0);
}

#[test]
fn it_stops_at_the_first_batch_that_fails_and_leaves_the_rest_alone() {
    let plan = rolling(vec![run_step("stop"), run_step("start")], 1, 0);
    let script = |host: HostId, text: &str| match (host, text) {
        (3, "start") => Reaction::failed(),
        _ => Reaction::ok(""),
    };
    let played = Play::new(plan, 8, script).run();
    let outcomes = played.outcomes();
    assert_eq!(outcomes[..4], [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Failed]);
    assert_eq!(outcomes[4..], [Outcome::Cancelled; 4]);
    for host in 4..8 {
        assert!(played.jobs(host).is_empty());
        assert!(!played.finished.hosts[host].begun);
    }
    assert_eq!(played.seen(|kind| matches!(kind, EventKind::BatchStopped { left, .. } if left.len() == 4)), 1);
    assert_eq!(played.finished.stats.exit_status(), crate::exit::ExitStatus::Failed);
}

#[test]
fn the_others_of_a_batch_go_on_to_its_end() {
    let plan = rolling(vec![run_step("stop"), run_step("start")], 2, 0);
    let script = |host: HostId, text: &str| match (host, text) {
        (0, "stop") => Reaction::failed(),
        _ => Reaction::ok(""),
    };
    let played = Play::new(plan, 4, script).run();
    // It was stopped, so it is started again.
    assert_eq!(played.jobs(1), ["stop", "start"]);
    assert_eq!(played.outcomes(), [Outcome::Failed, Outcome::Ok, Outcome::Cancelled, Outcome::Cancelled]);
}

#[test]
fn failures_that_are_allowed_do_not_stop_it() {
    let plan = rolling(vec![run_step("stop"), run_step("start")], 1, 1);
    let script = |host: HostId, text: &str| match (host, text) {
        (0 | 2, "stop") => Reaction::failed(),
        _ => Reaction::ok(""),
    };
    let played = Play::new(plan, 5, script).run();
    let wanted = [Outcome::Failed, Outcome::Ok, Outcome::Failed, Outcome::Cancelled, Outcome::Cancelled];
    assert_eq!(played.outcomes(), wanted);
}

#[test]
fn all_hosts_are_looked_at_before_the_first_change_and_again_before_their_own() {
    let plan = rolling(vec![look(), touch_step("go")], 1, 0);
    let script = |host: HostId, text: &str| match text.contains("echo look") {
        true if host == 2 => Reaction::ok("state=bad\n"),
        true => Reaction::ok("state=good\n"),
        false => Reaction::ok(""),
    };
    let played = Play::new(plan.clone(), 3, script).run();
    assert_eq!(played.finished.stats.exit_status(), crate::exit::ExitStatus::Refused);
    assert_eq!([0, 1, 2].map(|host| played.jobs(host).len()), [1, 1, 1]);

    // One that has become bad since then is its own batch's failure: others were changed by now.
    let mut looks = 0;
    let script = move |host: HostId, text: &str| {
        if !text.contains("echo look") {
            return Reaction::ok("");
        }
        looks += usize::from(host == 1);
        Reaction::ok(if host == 1 && looks > 1 { "state=bad\n" } else { "state=good\n" })
    };
    let played = Play::new(plan, 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Changed, Outcome::Failed, Outcome::Cancelled]);
    assert_eq!(played.failure(1).cause, "it is bad");
    assert!(!played.finished.stats.refused);
}

#[test]
fn what_is_undone_is_undone_at_the_end_of_its_batch() {
    let plan = rolling(vec![touch_step("mark"), run_step("work")], 1, 0);
    let played = Play::new(plan, 2, |_: HostId, _: &str| Reaction::ok("")).run();
    let second = played
        .recorder
        .events
        .iter()
        .position(|(event, _)| matches!(&event.kind, EventKind::BatchStarted { batch: 2, .. }));
    let cleaned =
        played.recorder.events.iter().position(|(event, _)| matches!(&event.kind, EventKind::CleanupStarted { .. }));
    assert!(cleaned < second, "{cleaned:?} {second:?}");
    assert!(played.nodes.borrow().files.is_empty());
    assert_eq!(played.outcomes(), [Outcome::Changed; 2]);
}

#[test]
fn a_state_is_named_once_the_last_batch_has_come_to_it() {
    let named = Step { state: Some("half".to_owned()), ..run_step("one") };
    let plan = rolling(vec![named, run_step("two")], 1, 0);
    let played = Play::new(plan.clone(), 3, |_: HostId, _: &str| Reaction::ok("")).run();
    assert_eq!(played.seen(|kind| matches!(kind, EventKind::StateChanged { .. })), 1);
    let script = |host: HostId, _: &str| if host == 1 { Reaction::failed() } else { Reaction::ok("") };
    let played = Play::new(plan, 3, script).run();
    assert_eq!(played.finished.state, None);
}

#[test]
fn any_host_is_one_of_the_batch() {
    let any = Step { on: On::Any, ..run_step("ask") };
    let plan = rolling(vec![any, run_step("work")], 2, 0);
    let played = Play::new(plan, 4, |_: HostId, _: &str| Reaction::ok("")).run();
    assert_eq!([0, 1, 2, 3].map(|host| played.jobs(host).len()), [2, 1, 2, 1]);
}

#[test]
fn who_goes_last_goes_last() {
    let mut plan = rolling(vec![look(), run_step("work")], 2, 0);
    let last =
        Condition { facts: vec![("role".to_owned(), vec![Template::literal("primary")])], ..Condition::default() };
    plan.blocks[0].last = Some(last);
    let script = |host: HostId, _: &str| Reaction::ok(if host == 0 { "role=primary\n" } else { "role=standby\n" });
    let played = Play::new(plan, 4, script).run();
    let order: Vec<String> = order(&played).into_iter().filter(|did| did.ends_with(":1")).collect();
    assert_eq!(order, ["1:1", "2:1", "3:1", "0:1"]);
}

#[test]
fn a_signal_ends_it_and_what_was_not_begun_says_so() {
    let plan = rolling(vec![run_step("stop"), run_step("start")], 1, 0);
    let script = |_: HostId, _: &str| Reaction::ok("").after(seconds(10));
    let played = Play::new(plan, 3, script).signal(seconds(25), CancelReason::Interrupt).run();
    assert_eq!(played.outcomes(), [Outcome::Ok, Outcome::Cancelled, Outcome::Cancelled]);
    assert_eq!(played.finished.hosts.iter().map(|host| host.begun).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn a_run_that_goes_on_does_the_rest() {
    let plan = rolling(vec![run_step("stop"), run_step("start")], 1, 0);
    let done = [(0, [0, 1].into()), (1, [0].into())].into();
    let played = Play::new(plan, 3, |_: HostId, _: &str| Reaction::ok(""))
        .set(|settings| settings.resume = Some(Resume { done, ..Resume::default() }))
        .run();
    assert_eq!([0, 1, 2].map(|host| played.jobs(host)), [vec![], vec!["start"], vec!["stop", "start"]]);
}
