//! Waits on the played fleet: for a chain, for a condition, for the cluster.

use super::*;
use crate::plan::{Condition, Look, On, Probe, Quorum, Rule, Stage, Until, Wait};

fn fact(name: &str, values: &[&str]) -> Condition {
    let values = values.iter().map(|value| Template::literal(*value)).collect();
    Condition { facts: vec![(name.to_owned(), values)], ..Condition::default() }
}

fn wait_of(look: Look, until: Until, timeout: Duration) -> Wait {
    Wait {
        look,
        until,
        patient: false,
        quorum: Quorum::All,
        every: seconds(1),
        timeout,
        looks: None,
        give_up: Vec::new(),
        hint: None,
        evidence: None,
    }
}

pub(super) fn chain_wait(timeout: Duration) -> Step {
    let wait = wait_of(Look::Probe("node".to_owned()), Until::Chain, timeout);
    Step::new("wait for every node", Action::Wait(Box::new(wait)))
}

fn cluster_wait(timeout: Duration) -> Step {
    let until = Until::Condition(fact("cluster_state", &["Normal"]));
    let wait = Wait { every: seconds(2), ..wait_of(Look::Probe("cluster".to_owned()), until, timeout) };
    Step {
        on: On::Any,
        not_an_answer: Some(fact("cluster_state", &["unreachable"])),
        ..Step::new("wait for the cluster", Action::Wait(Box::new(wait)))
    }
}

pub(super) fn start(steps: Vec<Step>) -> Plan {
    let mut plan = plan(steps);
    for name in ["node", "cluster"] {
        let probe = Probe { source: format!("{name}.sh"), script: format!("echo {name}").into(), states: Vec::new() };
        plan.probes.insert(name.to_owned(), probe);
    }
    let stage =
        |name: &str| Stage { name: name.to_owned(), fact: name.to_owned(), up: vec!["running".to_owned()], hint: None };
    plan.chain = vec![stage("agent"), stage("database")];
    plan
}

pub(super) const UP: &str = "agent=running\ndatabase=running\n";
pub(super) const DOWN: &str = "agent=running\ndatabase=none\n";

/// A node whose probe is asked for the so-many-th time.
fn counted(mut says: impl FnMut(HostId, bool, usize) -> Reaction + 'static) -> impl FnMut(HostId, &str) -> Reaction {
    let mut counts: std::collections::HashMap<(HostId, bool), usize> = std::collections::HashMap::new();
    move |host, text| {
        let is_cluster = text.contains("echo cluster");
        let count = counts.entry((host, is_cluster)).or_default();
        *count += 1;
        says(host, is_cluster, *count)
    }
}

#[test]
fn a_wait_ends_as_soon_as_all_are_up() {
    let script = counted(|host, _, count| Reaction::ok(if count > host + 2 { UP } else { DOWN }));
    let played = Play::new(start(vec![chain_wait(seconds(600))]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 3]);
    assert!(played.finished.elapsed < seconds(6), "{:?}", played.finished.elapsed);
}

#[test]
fn a_wait_ends_in_time_and_names_the_first_missing_stage() {
    let script = counted(|host, _, _| Reaction::ok(if host == 1 { DOWN } else { UP }));
    let played = Play::new(start(vec![chain_wait(seconds(20))]), 2, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok, Outcome::Failed]);
    let cause = &played.failure(1).cause;
    assert!(cause.starts_with("first missing stage: database (none)"), "{cause}");
    assert!(played.finished.elapsed >= seconds(20) && played.finished.elapsed < seconds(22));
}

#[test]
fn a_wait_without_end_does_not_panic_and_cleans_up() {
    let long = Duration::from_secs(u64::MAX);
    let script = counted(|_, _, count| Reaction::ok(if count > 5 { UP } else { DOWN }));
    let mut plan = start(vec![touch_step("mark"), chain_wait(long)]);
    if let Action::Wait(wait) = &mut plan.steps[1].action {
        wait.every = long;
    }
    let played = Play::new(plan, 1, script)
        .set(|s| s.deadline = Some(Duration::MAX))
        .signal(seconds(60), CancelReason::Interrupt)
        .run();
    assert_eq!(played.outcomes(), [Outcome::Cancelled]);
    assert!(played.nodes.borrow().files.is_empty());
}

#[test]
fn a_look_is_never_begun_before_the_last_one_is_over_nor_beyond_the_fanout() {
    let script = counted(|_, _, count| Reaction::ok(if count > 3 { UP } else { DOWN }).after(seconds(3)));
    let played = Play::new(start(vec![chain_wait(seconds(600))]), 9, script).set(|s| s.fanout = 4).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 9]);
    assert!(played.nodes.borrow().most <= 4);
}

#[test]
fn waiting_costs_as_many_looks_for_each_of_many_hosts_as_of_few() {
    // Two thousand hosts, ten looks each: with a scan of all hosts per answer this takes minutes.
    let script = counted(|_, _, count| Reaction::ok(if count > 9 { UP } else { DOWN }));
    let played = Play::new(start(vec![chain_wait(seconds(600))]), 2_000, script).set(|s| s.fanout = 2_000).run();
    assert_eq!(played.finished.stats.counts.ok, 2_000);
    assert!(played.nodes.borrow().jobs.values().all(|jobs| jobs.len() < 12));
}

#[test]
fn once_one_is_beyond_help_the_others_get_some_time_more() {
    let mut step = chain_wait(seconds(600));
    if let Action::Wait(wait) = &mut step.action {
        wait.give_up = vec![Rule {
            when: fact("broken", &["yes"]),
            because: Template::literal("it is broken"),
            hint: None,
            after: seconds(3),
        }];
    }
    let script = counted(|host, _, count| match host {
        0 => Reaction::ok("agent=none\nbroken=yes\n"),
        1 => Reaction::ok(if count > 8 { UP } else { DOWN }),
        _ => Reaction::ok(DOWN),
    });
    let played = Play::new(start(vec![step]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Failed, Outcome::Ok, Outcome::Failed]);
    assert_eq!(played.failure(0).cause, "it is broken");
    assert!(played.failure(2).cause.starts_with("no longer waited for"), "{}", played.failure(2));
    assert!(played.finished.elapsed < seconds(25), "{:?}", played.finished.elapsed);
}

#[test]
fn a_majority_is_enough_where_that_is_what_is_asked() {
    let mut step = chain_wait(seconds(60));
    if let Action::Wait(wait) = &mut step.action {
        wait.quorum = Quorum::Majority;
    }
    let script = counted(|host, _, _| Reaction::ok(if host == 0 { DOWN } else { UP }));
    let played = Play::new(start(vec![step]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 3]);
    assert!(played.finished.elapsed < seconds(3));
}

#[test]
fn the_cluster_is_asked_on_one_host_and_the_nodes_are_looked_at_meanwhile() {
    let script = counted(|_, is_cluster, count| {
        if is_cluster {
            Reaction::ok(if count > 5 { "cluster_state=Normal\n" } else { "cluster_state=Starting\n" })
        } else {
            Reaction::ok(UP)
        }
    });
    let played = Play::new(start(vec![chain_wait(seconds(60)), cluster_wait(seconds(600))]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 3]);
    let cluster = played.finished.cluster.as_ref().expect("it was asked");
    assert_eq!((cluster.state.as_deref(), &cluster.failure), (Some("Normal"), &None));
    assert_eq!(cluster.asked.len(), 1);
    // Node 2 was looked at all the time, although it was up.
    assert!(played.jobs(2).len() > 8, "{}", played.jobs(2).len());
}

#[test]
fn a_node_that_dies_while_the_cluster_is_waited_for_is_the_failed_one() {
    let script = counted(|host, is_cluster, count| match (is_cluster, host) {
        (true, _) => Reaction::ok("cluster_state=Degraded\n"),
        (false, 2) if count > 4 => Reaction::new(Says::Unreachable),
        (false, _) => Reaction::ok(UP),
    });
    let played = Play::new(start(vec![chain_wait(seconds(60)), cluster_wait(seconds(600))]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok, Outcome::Ok, Outcome::Unreachable]);
    // Nothing better can come, so it is not waited for to the end.
    assert!(played.finished.elapsed < seconds(30), "{:?}", played.finished.elapsed);
    assert!(played.finished.stats.cluster_failed);
}

#[test]
fn a_database_that_stops_at_the_last_moment_is_seen() {
    // The cluster says Normal once more than it is.
    let script = counted(|host, is_cluster, count| match (is_cluster, host) {
        (true, _) => Reaction::ok(if count > 3 { "cluster_state=Normal\n" } else { "cluster_state=Starting\n" }),
        (false, 1) if count > 7 => Reaction::ok(DOWN),
        (false, _) => Reaction::ok(UP),
    });
    let played = Play::new(start(vec![chain_wait(seconds(60)), cluster_wait(seconds(30))]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok, Outcome::Failed, Outcome::Ok]);
    assert!(played.failure(1).cause.starts_with("first missing stage: database"), "{}", played.failure(1));
}

#[test]
fn a_cluster_that_is_not_normal_is_no_hosts_failure() {
    let script = counted(|_, is_cluster, _| Reaction::ok(if is_cluster { "cluster_state=Degraded\n" } else { UP }));
    let played = Play::new(start(vec![chain_wait(seconds(60)), cluster_wait(seconds(20)), run_step("on")]), 3, script);
    let played = played.run();
    let cluster = played.finished.cluster.as_ref().expect("it was asked");
    let cause = &cluster.failure.as_ref().expect("it is not Normal").cause;
    assert_eq!(cause, "cluster_state is Degraded after 20s, wanted Normal");
    assert_eq!(played.finished.stats.counts.failed, 0);
    // The run does not go on, and the hosts did not do what came after.
    assert_eq!(played.outcomes(), [Outcome::Cancelled; 3]);
    assert_eq!(played.finished.stats.exit_status(), crate::exit::ExitStatus::Failed);
    let script = counted(|_, is_cluster, _| Reaction::ok(if is_cluster { "cluster_state=Degraded\n" } else { UP }));
    let played = Play::new(start(vec![chain_wait(seconds(60)), cluster_wait(seconds(20))]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 3]);
    assert_eq!(played.finished.stats.exit_status(), crate::exit::ExitStatus::Failed);
}

#[test]
fn who_cannot_reach_the_cluster_has_no_answer_and_another_is_asked() {
    let script = counted(|host, is_cluster, _| match (is_cluster, host) {
        (true, 0) => Reaction::ok("cluster_state=unreachable\n"),
        (true, 1) => Reaction::failed(),
        (true, _) => Reaction::ok("cluster_state=Normal\n"),
        (false, _) => Reaction::ok(UP),
    });
    let played = Play::new(start(vec![chain_wait(seconds(60)), cluster_wait(seconds(600))]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 3]);
    let cluster = played.finished.cluster.as_ref().expect("it was asked");
    let asked: Vec<(&str, &str)> =
        cluster.asked.iter().map(|asked| (asked.host.as_str(), asked.answer.as_str())).collect();
    assert_eq!(asked, [("n0", "unreachable"), ("n1", "check: exit status 1"), ("n2", "Normal")]);
    assert!(played.finished.elapsed < seconds(5), "{:?}", played.finished.elapsed);
}

#[test]
fn where_no_host_has_an_answer_all_are_asked_again_and_again_until_the_end() {
    let script = counted(|_, is_cluster, _| Reaction::ok(if is_cluster { "cluster_state=unreachable\n" } else { UP }));
    let played = Play::new(start(vec![chain_wait(seconds(60)), cluster_wait(seconds(20))]), 3, script).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 3]);
    let cluster = played.finished.cluster.as_ref().expect("it was asked");
    assert_eq!((cluster.state.as_deref(), cluster.asked.len()), (Some("unreachable"), 3));
    assert!(cluster.failure.is_some());
    assert!(played.finished.elapsed >= seconds(20) && played.finished.elapsed < seconds(25));
}

#[test]
fn the_cluster_is_waited_for_also_with_one_job_at_a_time() {
    let script = counted(|_, is_cluster, count| {
        if is_cluster {
            Reaction::ok(if count > 3 { "cluster_state=Normal\n" } else { "cluster_state=Starting\n" })
        } else {
            Reaction::ok(UP)
        }
    });
    let plan = start(vec![chain_wait(seconds(60)), cluster_wait(seconds(600))]);
    let played = Play::new(plan, 5, script).set(|s| s.fanout = 1).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 5]);
    assert_eq!(played.nodes.borrow().most, 1);
}

#[test]
fn a_signal_ends_a_wait_for_the_cluster_at_once() {
    let script = counted(|_, is_cluster, _| {
        if is_cluster {
            Reaction::ok("cluster_state=Starting\n").after(seconds(9))
        } else {
            Reaction::ok(UP).after(seconds(3))
        }
    });
    let plan = start(vec![touch_step("mark"), chain_wait(seconds(60)), cluster_wait(seconds(600))]);
    let played = Play::new(plan, 3, script).signal(seconds(30), CancelReason::Interrupt).run();
    assert!(played.finished.elapsed < seconds(45), "{:?}", played.finished.elapsed);
    assert!(played.nodes.borrow().files.is_empty());
    assert!(!played.finished.stats.cluster_failed);
}

#[test]
fn evidence_is_asked_of_whom_it_is_about() {
    let mut step = chain_wait(seconds(5));
    if let Action::Wait(wait) = &mut step.action {
        wait.evidence = Some(Look::Run(Template::literal("tail log")));
    }
    let script = counted(|host, _, _| Reaction::ok(if host == 1 { DOWN } else { UP }));
    let played = Play::new(start(vec![step]), 3, script).run();
    let asked = |host| played.jobs(host).iter().any(|text| text.contains("tail log"));
    assert_eq!([0, 1, 2].map(asked), [false, true, false]);
}

pub(super) const CAUSES: &str = "causes:
  - { id: X01, stage: database, cause: broken for good, where: [DNERR], signature: 'FATAL: broken', wait: 'no', hint: mend it, source: s, verified: source }
  - { id: X02, stage: database, cause: redo, where: [DNERR], signature: 'redo at', wait: passes, hint: wait, source: s, verified: source }
  - { id: X03, stage: agent, cause: no program, where: [DNERR], signature: 'FATAL: gone', wait: 'no', hint: install it, source: s, verified: source }
";

/// A wait that asks for causes, on a host that says this when it is asked.
fn asked_why(says: &'static str, timeout: Duration, give_up: Vec<Rule>) -> Played {
    asked_again_and_again(move |_| says.to_owned(), timeout, give_up)
}

/// The same of a host that says something else each time; the first time is 1.
fn asked_again_and_again(says: impl Fn(usize) -> String + 'static, timeout: Duration, give_up: Vec<Rule>) -> Played {
    let mut asked = 0;
    let mut wait = wait_of(Look::Probe("node".to_owned()), Until::Chain, timeout);
    wait.evidence = Some(Look::Run(Template::literal("echo evidence")));
    wait.give_up = give_up;
    let mut plan = start(vec![Step::new("wait for every node", Action::Wait(Box::new(wait)))]);
    plan.causes = crate::cause::Catalogue::read(CAUSES).expect("it is right");
    let script = move |host: HostId, text: &str| match (host, text.contains("echo evidence")) {
        (0, _) => Reaction::ok(UP),
        (_, true) => {
            asked += 1;
            Reaction::ok(&says(asked))
        }
        (_, false) => Reaction::ok(DOWN),
    };
    Play::new(plan, 2, script).run()
}

#[test]
fn what_is_beyond_help_ends_the_wait_within_a_few_looks() {
    let played = asked_why(">> DNERR since /log\n FATAL: broken\n", seconds(600), Vec::new());
    assert_eq!(played.outcomes(), [Outcome::Ok, Outcome::Failed]);
    let looks = played.jobs(1).len();
    assert!(looks <= 15, "{looks} looks");
    let failure = played.failure(1);
    assert!(failure.cause.contains("X01 broken for good"), "{failure:?}");
    assert_eq!(failure.hint.as_deref(), Some("mend it"));
}

/// Nodes that are up, and a cluster that is not Normal: the node that knows why may be another one than that which was asked.
#[test]
fn a_cluster_that_is_not_normal_gets_its_cause_from_whoever_knows_it() {
    let rows = format!(
        "{CAUSES}  - {{ id: X04, stage: cluster, cause: kicked out, where: [CMS], signature: 'kick out', wait: may_pass, hint: mend \
         the network, source: s, verified: source }}\n"
    );
    let mut step = cluster_wait(seconds(20));
    if let Action::Wait(wait) = &mut step.action {
        wait.evidence = Some(Look::Run(Template::literal("echo evidence")));
        wait.hint = Some(Template::literal("ask cm_ctl"));
    }
    let mut plan = start(vec![chain_wait(seconds(60)), step]);
    plan.causes = crate::cause::Catalogue::read(&rows).expect("it is right");
    let script = |host: HostId, text: &str| {
        let says = match (host, text) {
            // A row about a stage of the chain is not why the cluster is not Normal.
            (1, text) if text.contains("echo evidence") => ">> DNERR since /log\n FATAL: broken\n",
            (2, text) if text.contains("echo evidence") => ">> CMS since /log/cms\n node(1) kick out.\n",
            (_, text) if text.contains("echo evidence") => ">> CMS since /log/cms\n",
            (_, text) if text.contains("echo cluster") => "cluster_state=Degraded\n",
            _ => UP,
        };
        Reaction::ok(says)
    };
    let played = Play::new(plan, 3, script).run();
    assert!(played.finished.stats.cluster_failed);
    let cluster = played.finished.cluster.as_ref().expect("it was asked");
    let failure = cluster.failure.as_ref().expect("it is not Normal");
    assert!(failure.cause.ends_with(": X04 kicked out"), "{failure:?}");
    assert_eq!(failure.hint.as_deref(), Some("mend the network"));
    let cause = cluster.cause.as_ref().expect("a node knows it");
    assert_eq!(cause.stage.as_deref(), Some("cluster"));
    let proof = cause.proof.as_ref().expect("there is a line");
    assert!(proof.file.ends_with(": /log/cms") && proof.lines == ["node(1) kick out."], "{proof:?}");
    assert_eq!(played.outcomes(), [Outcome::Ok; 3]);
}

/// A step that failed and says itself which documented cause it met.
#[test]
fn a_step_that_says_its_cause_itself_is_believed() {
    let mut plan = start(vec![run_step("do it")]);
    plan.causes = crate::cause::Catalogue::read(CAUSES).expect("it is right");
    let printed = "news\n>> X01: it broke here\n";
    let played = Play::new(plan, 1, move |_: HostId, _: &str| Reaction::new(Says::Exit(1, printed.to_owned()))).run();
    assert_eq!(played.outcomes(), [Outcome::Failed]);
    let failure = played.failure(0);
    assert!(failure.cause.ends_with(": X01 broken for good"), "{failure:?}");
    assert_eq!(failure.hint.as_deref(), Some("mend it"));
}

#[test]
fn what_passes_by_itself_is_not_given_up_even_where_a_rule_would() {
    let hopeless = Rule {
        when: fact("database", &["none"]),
        because: Template::literal("hopeless"),
        hint: None,
        after: seconds(5),
    };
    let played = asked_why(">> DNERR since /log\n redo at 0/1\n", seconds(60), vec![hopeless]);
    let failure = played.failure(1);
    assert!(failure.cause.starts_with("first missing stage: database") && failure.cause.contains("X02"), "{failure:?}");
    let looks = played.jobs(1).len();
    assert!(looks >= 50, "{looks} looks");
}

/// Two tries that fail alike are enough, whenever the first of them comes: within fifteen looks of the second.
#[test]
fn what_is_beyond_help_ends_within_fifteen_looks_of_the_second_equal_failure() {
    // It fails at a time of its own; until then nothing is to be seen.
    for first in [1, 2, 5] {
        let says = move |asked| {
            let broken = if asked >= first { " FATAL: broken\n" } else { "" };
            format!(">> DNERR since /log\n{broken}")
        };
        let played = asked_again_and_again(says, seconds(600), Vec::new());
        assert!(played.failure(1).cause.contains("X01 broken for good"), "{}", played.failure(1));
        let jobs = played.jobs(1);
        let is_why = |text: &&String| text.contains("echo evidence");
        // The node was asked until the second equal answer, and once more for the report.
        assert!(jobs.iter().filter(is_why).count() <= first + 2, "{first}");
        let seen = jobs.iter().enumerate().filter(|(_, text)| is_why(text)).nth(first - 1).map(|(at, _)| at);
        let looks = jobs.len() - seen.expect("it was asked");
        assert!(looks <= 15, "{looks} looks after it failed first");
    }
}

/// A redo and a build that go on for more than thirty looks, with lines that tell how far they are, and then end well.
#[test]
fn what_progresses_for_thirty_looks_is_waited_for_to_its_end() {
    let mut asked = 0;
    let mut wait = wait_of(Look::Probe("node".to_owned()), Until::Chain, seconds(600));
    wait.evidence = Some(Look::Run(Template::literal("echo evidence")));
    wait.give_up = vec![Rule {
        when: fact("database", &["none"]),
        because: Template::literal("hopeless"),
        hint: None,
        after: seconds(30),
    }];
    let mut plan = start(vec![Step::new("wait for every node", Action::Wait(Box::new(wait)))]);
    plan.causes = crate::cause::Catalogue::read(CAUSES).expect("it is right");
    let mut looks = [0, 0];
    let script = move |host: HostId, text: &str| {
        if text.contains("echo evidence") {
            asked += 1;
            return Reaction::ok(&format!(">> DNERR since /log\n redo at 0/{asked}\n"));
        }
        looks[host] += 1;
        Reaction::ok(if looks[host] > 40 + 10 * host { UP } else { DOWN })
    };
    let played = Play::new(plan, 2, script).set(|s| s.live = false).run();
    assert_eq!(played.outcomes(), [Outcome::Ok; 2]);
    let shown = |kind: &EventKind| match kind {
        EventKind::StillRunning { hosts } => {
            hosts.iter().any(|(_, at, _)| format!("{at:?}").contains("redo (redo at 0/"))
        }
        _ => false,
    };
    assert!(played.seen(shown) > 1, "how far it is was not shown");
    let looks = played.jobs(1).iter().filter(|text| !text.contains("echo evidence")).count();
    assert!(looks >= 50, "{looks} looks");
    assert!(
        played.seen(|kind| matches!(kind, EventKind::CauseSeen { cause, .. } if cause.id.as_deref() == Some("X02")))
            > 0
    );
}

#[test]
fn a_cause_that_was_seen_once_and_is_gone_ends_nothing() {
    let mut asked = 0;
    let mut wait = wait_of(Look::Probe("node".to_owned()), Until::Chain, seconds(40));
    wait.evidence = Some(Look::Run(Template::literal("echo evidence")));
    let mut plan = start(vec![Step::new("wait for every node", Action::Wait(Box::new(wait)))]);
    plan.causes = crate::cause::Catalogue::read(CAUSES).expect("it is right");
    let script = move |_: HostId, text: &str| {
        if !text.contains("echo evidence") {
            return Reaction::ok(DOWN);
        }
        asked += 1;
        Reaction::ok(if asked % 2 == 1 { ">> DNERR since /log\n FATAL: broken\n" } else { ">> DNERR since /log\n" })
    };
    let played = Play::new(plan, 1, script).run();
    let looks = played.jobs(0).len();
    assert!(looks >= 30, "{looks} looks");
}
