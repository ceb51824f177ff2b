//! Runs that end badly: each case was a fault once, or is next to one.

use super::*;
use crate::exit::ExitStatus;
use crate::plan::{Condition, On, Probe, Rule, Share};

#[test]
fn a_deadline_comes_although_hosts_print_all_the_time() {
    let script = |_: HostId, _: &str| Reaction::ok("").after(seconds(600)).flooding();
    let played = Play::new(plan(vec![run_step("yes")]), 4, script).set(|s| s.deadline = Some(seconds(3))).run();
    assert_eq!(played.outcomes(), [Outcome::TimedOut; 4]);
    assert!(played.finished.elapsed < seconds(4), "{:?}", played.finished.elapsed);
    assert_eq!(played.nodes.borrow().killed, 4);
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::TimedOut);
}

#[test]
fn a_signal_is_heard_although_hosts_print_all_the_time() {
    for (reason, status) in
        [(CancelReason::Interrupt, ExitStatus::Interrupted), (CancelReason::Terminate, ExitStatus::Terminated)]
    {
        let script = |_: HostId, _: &str| Reaction::ok("").after(seconds(600)).flooding();
        let played = Play::new(plan(vec![run_step("yes")]), 2, script).signal(seconds(1), reason).run();
        assert_eq!(played.outcomes(), [Outcome::Cancelled; 2]);
        assert!(played.finished.elapsed < seconds(2));
        assert_eq!(played.finished.stats.exit_status(), status);
    }
}

#[test]
fn who_is_slow_is_named_although_another_prints_all_the_time() {
    let script = |host: HostId, _: &str| {
        let reaction = Reaction::ok("").after(seconds(25));
        if host == 0 { reaction.flooding() } else { reaction }
    };
    let played = Play::new(plan(vec![run_step("yes")]), 2, script).set(|s| s.live = false).run();
    assert_eq!(played.seen(|kind| matches!(kind, EventKind::StillRunning { hosts } if hosts.len() == 2)), 2);
}

#[test]
fn with_a_state_file_who_never_began_the_last_step_is_not_ok() {
    let mut plan = plan(vec![
        Step { state: Some("one".to_owned()), ..run_step("one") },
        Step { state: Some("two".to_owned()), ..run_step("two") },
        run_step("three"),
    ]);
    plan.state_file = Some(Template::literal("/tmp/state"));
    let script = |_: HostId, text: &str| {
        Reaction::ok("").after(if text == "three" { seconds(60) } else { Duration::from_millis(1) })
    };
    let played = Play::new(plan, 3, script).set(|s| s.fanout = 1).signal(seconds(30), CancelReason::Interrupt).run();
    assert_eq!(played.outcomes(), [Outcome::Cancelled; 3]);
    assert_eq!(played.finished.stats.counts.ok, 0);
}

#[test]
fn with_a_cleanup_who_never_began_the_last_step_is_not_ok() {
    let script = |_: HostId, text: &str| {
        Reaction::ok("").after(if text == "two" { seconds(60) } else { Duration::from_millis(1) })
    };
    let played = Play::new(plan(vec![touch_step("one"), run_step("two")]), 3, script)
        .set(|s| s.fanout = 1)
        .signal(seconds(30), CancelReason::Interrupt)
        .run();
    assert_eq!(played.outcomes(), [Outcome::Cancelled; 3]);
    assert!(played.nodes.borrow().files.is_empty(), "{:?}", played.nodes.borrow().files);
    assert!(played.finished.hosts.iter().all(|host| host.changed));
}

#[test]
fn who_could_not_go_on_because_another_failed_is_not_ok() {
    let script = |host: HostId, text: &str| {
        if host == 1 && text == "one" { Reaction::failed() } else { Reaction::ok("") }
    };
    let played = Play::new(plan(vec![run_step("one"), run_step("two")]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Cancelled, Outcome::Failed, Outcome::Cancelled]);
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Failed);
    // What comes after is not for them.
    let last = Step { on: On::Group("first".to_owned()), ..run_step("two") };
    let script = |host: HostId, text: &str| {
        if host == 1 && text == "one" { Reaction::failed() } else { Reaction::ok("") }
    };
    let played = Play::new(plan(vec![run_step("one"), last]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Cancelled, Outcome::Failed, Outcome::Ok]);
}

#[test]
fn who_never_began_says_so() {
    let script = |_: HostId, _: &str| Reaction::ok("").after(seconds(60));
    let played = Play::new(plan(vec![run_step("one")]), 2, script)
        .set(|s| s.fanout = 1)
        .signal(seconds(1), CancelReason::Interrupt)
        .run();
    assert_eq!(played.finished.hosts.iter().map(|host| host.begun).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn max_fail_begins_no_new_host_and_lets_what_runs_end() {
    let script = |host: HostId, _: &str| match host {
        0 => Reaction::failed(),
        _ => Reaction::ok("").after(seconds(30)),
    };
    let played = Play::new(plan(vec![run_step("one")]), 4, script)
        .set(|s| {
            s.fanout = 3;
            s.max_fail = Some(Share::Count(0));
        })
        .run();
    assert_eq!(played.outcomes(), [Outcome::Failed, Outcome::Ok, Outcome::Ok, Outcome::Cancelled]);
    assert_eq!(played.nodes.borrow().killed, 0);
    assert!(played.jobs(3).is_empty());
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Failed);
}

#[test]
fn max_fail_begins_no_new_step() {
    let script = |host: HostId, _: &str| if host == 0 { Reaction::failed() } else { Reaction::ok("") };
    let first = Step { on_failure: OnFailure::Continue, ..run_step("one") };
    let played =
        Play::new(plan(vec![first, run_step("two")]), 2, script).set(|s| s.max_fail = Some(Share::Count(0))).run();
    assert_eq!(played.outcomes(), [Outcome::Failed, Outcome::Cancelled]);
    assert_eq!(played.jobs(1), ["one"]);
}

#[test]
fn after_max_fail_a_signal_still_kills() {
    let script = |host: HostId, _: &str| match host {
        0 => Reaction::failed(),
        _ => Reaction::ok("").after(seconds(600)),
    };
    let played = Play::new(plan(vec![run_step("one")]), 2, script)
        .set(|s| s.max_fail = Some(Share::Count(0)))
        .signal(seconds(5), CancelReason::Interrupt)
        .run();
    assert_eq!(played.outcomes(), [Outcome::Failed, Outcome::Cancelled]);
    assert_eq!(played.nodes.borrow().killed, 1);
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Interrupted);
}

#[test]
fn after_max_fail_the_deadline_still_comes() {
    let script = |host: HostId, _: &str| match host {
        0 => Reaction::failed(),
        _ => Reaction::ok("").after(seconds(600)),
    };
    let played = Play::new(plan(vec![run_step("one")]), 2, script)
        .set(|s| {
            s.max_fail = Some(Share::Count(0));
            s.deadline = Some(seconds(5));
        })
        .run();
    assert_eq!(played.outcomes(), [Outcome::Failed, Outcome::TimedOut]);
    assert!(played.finished.elapsed < seconds(6));
}

#[test]
fn a_second_signal_changes_nothing_here() {
    let script = |_: HostId, _: &str| Reaction::ok("").after(seconds(600));
    let played = Play::new(plan(vec![run_step("one")]), 1, script)
        .signal(seconds(1), CancelReason::Terminate)
        .signal(Duration::from_millis(1050), CancelReason::Interrupt)
        .run();
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Terminated);
    assert_eq!(played.seen(|kind| matches!(kind, EventKind::CancelRequested { .. })), 1);
}

fn look(name: &str, refuse: Vec<Rule>) -> Step {
    Step::new(name, Action::Probe { probe: "look".to_owned(), refuse, warn: Vec::new() })
}

fn with_probe(steps: Vec<Step>) -> Plan {
    let mut plan = plan(steps);
    let probe = Probe { source: "look.sh".to_owned(), script: "".into(), states: Vec::new() };
    plan.probes.insert("look".to_owned(), probe);
    plan
}

fn not_primary() -> Rule {
    Rule {
        when: Condition { not: vec![("role".to_owned(), vec![Template::literal("primary")])], ..Condition::default() },
        because: Template::literal("not a primary"),
        hint: None,
        after: Duration::ZERO,
    }
}

#[test]
fn a_preflight_speaks_only_of_hosts_that_it_asked() {
    let step = Step { on: On::Group("first".to_owned()), ..look("look", vec![not_primary()]) };
    let plan = with_probe(vec![step, run_step("go")]);
    let played = Play::new(plan, 3, |_: HostId, _: &str| Reaction::ok("role=primary\n")).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 3]);

    let step = Step { on: On::Group("first".to_owned()), ..look("look", vec![not_primary()]) };
    let plan = with_probe(vec![step, run_step("go")]);
    let played = Play::new(plan, 3, |_: HostId, _: &str| Reaction::ok("role=standby\n")).run();
    assert_eq!(played.outcomes(), [Outcome::Refused, Outcome::Skipped, Outcome::Skipped]);
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Refused);
    assert!(played.jobs(1).is_empty());
}

#[test]
fn a_preflight_is_over_hosts_for_which_its_when_holds() {
    let when = Condition { facts: vec![("kind".to_owned(), vec![Template::literal("db")])], ..Condition::default() };
    let step = Step { when: Some(when), ..look("look at databases", vec![not_primary()]) };
    let plan = with_probe(vec![look("look", Vec::new()), step, run_step("go")]);
    let script = |host: HostId, _: &str| Reaction::ok(if host == 0 { "kind=db\nrole=primary\n" } else { "kind=web\n" });
    assert_eq!(Play::new(plan, 2, script).run().outcomes(), [Outcome::Ok; 2]);
}

#[test]
fn a_preflight_asks_all_before_anything_is_changed() {
    let plan = with_probe(vec![look("look", vec![not_primary()]), touch_step("go")]);
    let script = |host: HostId, _: &str| match host {
        2 => Reaction::new(Says::Unreachable),
        _ => Reaction::ok("role=primary\n"),
    };
    let played = Play::new(plan.clone(), 3, script).set(|s| s.fanout = 1).run();
    assert_eq!(played.outcomes(), [Outcome::Skipped, Outcome::Skipped, Outcome::Unreachable]);
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Refused);
    let played = Play::new(plan, 3, script).set(|s| s.allow_unreachable = AllowUnreachable::Count(1)).run();
    assert_eq!(played.outcomes(), [Outcome::Changed, Outcome::Changed, Outcome::Unreachable]);
}

#[test]
fn cleanups_run_after_every_ending() {
    type CopyEnd = Box<dyn Fn(Play) -> Play>;
    let endings: [(&str, CopyEnd); 5] = [
        ("success", Box::new(|play| play)),
        ("interrupt", Box::new(|play| play.signal(seconds(2), CancelReason::Interrupt))),
        ("deadline", Box::new(|play| play.set(|s| s.deadline = Some(seconds(2))))),
        ("max fail", Box::new(|play| play.set(|s| s.max_fail = Some(Share::Count(0))))),
        ("one at a time", Box::new(|play| play.set(|s| s.fanout = 1))),
    ];
    for (name, ending) in endings {
        for work in [Reaction::ok(""), Reaction::failed(), Reaction::new(Says::TimedOut)] {
            let work = work.after(seconds(3));
            let script = move |_: HostId, text: &str| if text == "work" { work.clone() } else { Reaction::ok("") };
            let plan = plan(vec![touch_step("mark"), touch_step("mark again"), run_step("work")]);
            let played = ending(Play::new(plan, 3, script)).run();
            let nodes = played.nodes.borrow();
            assert!(nodes.files.is_empty(), "{name}: {:?}", nodes.files);
            assert_eq!(played.finished.stats.counts.total(), 3, "{name}");
        }
    }
}

#[test]
fn what_cannot_be_cleaned_up_is_said() {
    let script = |_: HostId, text: &str| {
        if text.contains("gs_remove /tmp/mark") { Reaction::new(Says::Lost) } else { Reaction::ok("") }
    };
    let played = Play::new(plan(vec![touch_step("mark")]), 1, script).run();
    assert_eq!(played.outcomes(), [Outcome::Unreachable]);
    assert!(played.failure(0).cause.contains("`/tmp/mark` was left behind"), "{}", played.failure(0));
}

#[test]
fn what_an_earlier_run_left_is_gone_only_where_the_node_says_so() {
    for (says, removals) in [(Says::Exit(0, String::new()), 1), (Says::Nothing, 2)] {
        let mut first = Some(says);
        let script = move |_: HostId, text: &str| match first.take() {
            Some(says) if text.contains("gs_remove /tmp/mark") => Reaction::new(says),
            _ => Reaction::ok(""),
        };
        let resume = Resume { to_clean: vec![(0, 0, vec![MARK.to_owned()])], ..Resume::default() };
        let plan = plan(vec![touch_step("mark"), run_step("work")]);
        let played = Play::new(plan, 1, script).set(|s| s.resume = Some(Resume { from: 1, ..resume })).run();
        let jobs = played.jobs(0);
        assert_eq!(jobs.iter().filter(|text| text.contains("gs_remove /tmp/mark")).count(), removals, "{jobs:?}");
    }
}

#[test]
fn a_signal_in_a_cleanup_does_not_stop_it() {
    let script = |_: HostId, text: &str| {
        Reaction::ok("").after(if text.contains("gs_remove /tmp/mark") { seconds(5) } else { Duration::ZERO })
    };
    let played = Play::new(plan(vec![touch_step("mark")]), 2, script).signal(seconds(2), CancelReason::Interrupt).run();
    assert!(played.nodes.borrow().files.is_empty());
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Interrupted);
}

#[test]
fn a_failed_command_is_tried_again_as_often_as_it_may() {
    let mut left = 2;
    let script = move |_: HostId, _: &str| {
        left -= 1;
        if left >= 0 { Reaction::failed() } else { Reaction::ok("") }
    };
    let step = Step { retries: 2, ..run_step("again") };
    let played = Play::new(plan(vec![step]), 1, script).run();
    assert_eq!((played.outcomes(), played.jobs(0).len()), (vec![Outcome::Ok], 3));
    let step = Step { retries: 2, ..run_step("again") };
    let played = Play::new(plan(vec![step]), 1, |_: HostId, _: &str| Reaction::failed()).run();
    assert_eq!((played.outcomes(), played.jobs(0).len()), (vec![Outcome::Failed], 3));
}

#[test]
fn what_was_not_heard_to_the_end_is_no_success_and_is_not_tried_again() {
    for (says, outcome, status) in [
        (Says::Lost, Outcome::Unreachable, ExitStatus::Unreachable),
        (Says::Unreachable, Outcome::Unreachable, ExitStatus::Unreachable),
        (Says::TimedOut, Outcome::TimedOut, ExitStatus::TimedOut),
        (Says::Signal, Outcome::Failed, ExitStatus::TimedOut),
    ] {
        let step = Step { retries: if matches!(says, Says::Signal) { 0 } else { 3 }, ..run_step("once") };
        let script = move |_: HostId, _: &str| Reaction::new(says.clone());
        let played = Play::new(plan(vec![step]), 1, script).run();
        assert_eq!((played.outcomes(), played.jobs(0).len()), (vec![outcome], 1));
        assert_eq!(played.finished.stats.exit_status(), status);
    }
}

#[test]
fn batches_follow_each_other() {
    let script = |_: HostId, _: &str| Reaction::ok("").after(seconds(1));
    let step = Step { serial: Some(Share::Count(2)), ..run_step("one") };
    let played = Play::new(plan(vec![step]), 5, script).run();
    assert_eq!(played.nodes.borrow().most, 2);
    assert_eq!(played.outcomes(), [Outcome::Ok; 5]);
    assert!(played.finished.elapsed >= seconds(3) && played.finished.elapsed < seconds(4));
}

#[test]
fn one_host_for_all_is_another_where_it_cannot_be_reached() {
    let step = Step { on: On::Any, ..run_step("ask") };
    let script = |host: HostId, _: &str| match host {
        0 => Reaction::new(Says::Unreachable),
        _ => Reaction::ok(""),
    };
    let played = Play::new(plan(vec![step, run_step("go on")]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Unreachable, Outcome::Ok, Outcome::Ok]);
    assert_eq!(played.jobs(2), ["go on"]);
}

#[test]
fn two_steps_of_one_name_are_two_steps() {
    let script = |host: HostId, _: &str| if host == 1 { Reaction::failed() } else { Reaction::ok("") };
    let first = Step { on_failure: OnFailure::Continue, ..run_step("same") };
    let second = Step { on: On::Group("first".to_owned()), ..run_step("same") };
    let played = Play::new(plan(vec![first, second, run_step("last")]), 3, script).run();
    // The second did not fail, whatever the first one did.
    assert_eq!(played.outcomes(), [Outcome::Ok, Outcome::Failed, Outcome::Ok]);
    assert_eq!(played.jobs(0), ["same", "same", "last"]);
}

#[test]
fn a_reporter_that_fails_stops_nothing() {
    let mut play = Play::new(plan(vec![run_step("one")]), 2, |_: HostId, _: &str| Reaction::ok(""));
    play.recorder.fails = true;
    let played = play.run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 2]);
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Broken);
}

#[test]
fn a_host_that_ends_while_the_run_is_cut_short_counts_as_what_it_came_to() {
    let script = |host: HostId, _: &str| Reaction::ok("").after(seconds(if host == 0 { 1 } else { 60 }));
    let played = Play::new(plan(vec![run_step("one")]), 2, script).signal(seconds(2), CancelReason::Interrupt).run();
    assert_eq!(played.outcomes(), [Outcome::Ok, Outcome::Cancelled]);
}

#[test]
fn what_is_to_be_undone_is_heard_to_its_end() {
    let script = |_: HostId, text: &str| {
        Reaction::ok("").after(if text.contains("do gs_touch") { seconds(3) } else { Duration::ZERO })
    };
    let played = Play::new(plan(vec![touch_step("mark"), run_step("work")]), 1, script)
        .signal(seconds(1), CancelReason::Interrupt)
        .run();
    assert!(played.nodes.borrow().files.is_empty());
    assert_eq!(played.outcomes(), [Outcome::Cancelled]);
}

#[test]
fn the_state_is_told_to_all_that_can_be_reached() {
    let mut plan = plan(vec![Step { state: Some("done".to_owned()), ..run_step("one") }]);
    plan.steps[0].on_failure_state = Some("bad".to_owned());
    plan.state_file = Some(Template::literal("/tmp/state"));
    let script = |host: HostId, text: &str| match (host, text) {
        (1, "one") => Reaction::failed(),
        (2, _) => Reaction::new(Says::Unreachable),
        _ => Reaction::ok(""),
    };
    let played = Play::new(plan, 3, script).run();
    assert_eq!([0, 1, 2].map(|host| played.jobs(host).len()), [2, 2, 1]);
    assert_eq!(played.finished.state.as_deref(), Some("bad"));
}

#[test]
fn a_run_that_goes_on_tells_each_group_its_last_state() {
    let on = |step: Step, group: &str| Step { on: On::Group(group.to_owned()), ..step };
    let state = |step: Step, state: &str| Step { state: Some(state.to_owned()), ..step };
    let mut plan = plan(vec![
        on(state(run_step("stop"), "stopped"), "first"),
        on(state(run_step("fill"), "full"), "others"),
        on(state(run_step("start"), "started"), "first"),
        run_step("end"),
    ]);
    plan.state_file = Some(Template::literal("/tmp/state"));
    plan.state_groups = vec!["first".to_owned(), "others".to_owned()];
    let states = ["stopped", "full", "started"].map(str::to_owned);
    // Killed when the third was written down, and some had not been told: who had is not known.
    let resume = Resume {
        good: [0, 1, 2].into(),
        done: (0..3).map(|step| (step, [0, 1, 2].into())).collect(),
        state: Some("started".to_owned()),
        states: (0..).zip(states).collect(),
        ..Resume::default()
    };
    let script = |_: HostId, _: &str| Reaction::ok("");
    let played = Play::new(plan.clone(), 3, script).set(|s| s.resume = Some(resume.clone())).run();
    for (host, state) in [(0, "started"), (1, "full"), (2, "full")] {
        let jobs = played.jobs(host);
        assert!(jobs[0].contains(state) && jobs.len() == 2, "{host}: {jobs:?}");
    }
    // Where all have one state, that is told.
    plan.state_groups.clear();
    let played = Play::new(plan, 3, script).set(|s| s.resume = Some(resume)).run();
    assert!((0..3).all(|host| played.jobs(host)[0].contains("started")));
}

#[test]
fn a_look_that_heard_no_fact_is_no_look() {
    let plan = with_probe(vec![look("look", vec![not_primary()]), touch_step("go")]);
    let script = |host: HostId, _: &str| Reaction::ok(if host == 0 { "" } else { "role=primary\n" });
    let played = Play::new(plan, 2, script).run();
    assert_eq!(played.finished.stats.exit_status(), ExitStatus::Refused);
    assert!(played.failure(0).cause.contains("no fact"), "{}", played.failure(0));
    assert!(played.nodes.borrow().files.is_empty());
}
