//! What holds for every run, whatever its plan, its settings and its hosts.

use proptest::prelude::*;

use super::*;
use crate::plan::{On, Probe, Share};
use crate::runner::turn::TICK;

#[derive(Debug, Clone)]
struct Case {
    hosts: usize,
    steps: Vec<(u8, u8, bool, Option<usize>)>,
    reactions: Vec<(u8, u64, bool)>,
    fanout: usize,
    serial: Option<usize>,
    max_fail: Option<usize>,
    deadline: Option<u64>,
    signal: Option<u64>,
    state_file: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let step = (0..4_u8, 0..4_u8, any::<bool>(), proptest::option::of(1..4_usize));
    let reaction = (0..12_u8, 1..4_000_u64, proptest::bool::weighted(0.1));
    (
        (1..8_usize, proptest::collection::vec(step, 1..5), proptest::collection::vec(reaction, 1..20)),
        (1..6_usize, proptest::option::of(1..4_usize), proptest::option::of(0..3_usize)),
        (proptest::option::weighted(0.3, 1..6_000_u64), proptest::option::weighted(0.3, 1..6_000_u64), any::<bool>()),
    )
        .prop_map(|((hosts, steps, reactions), (fanout, serial, max_fail), (deadline, signal, state_file))| Case {
            hosts,
            steps,
            reactions,
            fanout,
            serial,
            max_fail,
            deadline,
            signal,
            state_file,
        })
}

fn plan_of(case: &Case) -> Plan {
    let step = |(number, &(kind, on, goes_on, serial)): (usize, &(u8, u8, bool, Option<usize>))| {
        let name = format!("step {number}");
        let step = match kind {
            0 => run_step(&name),
            1 => touch_step(&name),
            2 => Step::new(
                name.as_str(),
                Action::Probe { probe: "look".to_owned(), refuse: Vec::new(), warn: Vec::new() },
            ),
            _ => Step { state: Some(format!("state-{number}")), ..run_step(&name) },
        };
        let on = match on {
            0 | 1 => On::All,
            2 => On::Group("first".to_owned()),
            _ => On::NotGroup("first".to_owned()),
        };
        let on_failure = if goes_on { OnFailure::Continue } else { OnFailure::Stop };
        Step { on, on_failure, serial: serial.map(Share::Count), ..step }
    };
    let mut plan = plan(case.steps.iter().enumerate().map(step).collect());
    let probe = Probe { source: "look.sh".to_owned(), script: "echo a=b".into(), states: Vec::new() };
    plan.probes.insert("look".to_owned(), probe);
    plan.state_file = case.state_file.then(|| Template::literal("/tmp/state"));
    plan
}

fn play(case: &Case) -> Played {
    let reactions = case.reactions.clone();
    let mut next = 0;
    let script = move |_: HostId, text: &str| {
        let (says, after, flood) = reactions[next % reactions.len()];
        next += 1;
        // What is to be undone is undone, so that the end can be looked at.
        let says = if text.contains("gs_remove /tmp/mark") { 0 } else { says };
        let reaction = Reaction::new(match says {
            0..=6 => Says::Exit(0, "a=b\n".to_owned()),
            7 | 8 => Says::Exit(3, String::new()),
            9 => Says::Unreachable,
            10 => Says::Lost,
            _ => Says::TimedOut,
        });
        Reaction { flood, ..reaction.after(Duration::from_millis(after)) }
    };
    let mut play = Play::new(plan_of(case), case.hosts, script).set(|settings| {
        settings.fanout = case.fanout;
        settings.serial = case.serial.map(Share::Count);
        settings.max_fail = case.max_fail.map(Share::Count);
        settings.deadline = case.deadline.map(Duration::from_millis);
    });
    if let Some(at) = case.signal {
        play = play.signal(Duration::from_millis(at), CancelReason::Interrupt);
    }
    play.run()
}

fn count(played: &Played, host: HostId, of: impl Fn(&EventKind) -> Option<HostId>) -> usize {
    played.seen(|kind| of(kind) == Some(host))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_run_keeps_its_promises(case in cases()) {
        let plan = plan_of(&case);
        let played = play(&case);
        let Played { finished, recorder, nodes } = &played;

        // One start at most, and one end, for each host; nothing after the end of the run.
        for host in 0..case.hosts {
            let started = count(&played, host, |kind| match kind {
                EventKind::HostStarted { host } => Some(*host),
                _ => None,
            });
            let ended = count(&played, host, |kind| match kind {
                EventKind::HostFinished { host, .. } => Some(*host),
                _ => None,
            });
            prop_assert_eq!(ended, 1);
            prop_assert_eq!(started, usize::from(!played.jobs(host).is_empty()));
        }
        prop_assert!(matches!(recorder.events.last().map(|(event, _)| &event.kind), Some(EventKind::RunFinished)));
        prop_assert!(recorder.events.is_sorted_by_key(|(event, _)| event.at));

        // The numbers add up, at the end and on the way.
        prop_assert_eq!(finished.stats.counts.total(), case.hosts);
        for host in &finished.hosts {
            let alike = finished.hosts.iter().filter(|other| other.outcome == host.outcome).count();
            prop_assert_eq!(finished.stats.counts.of(host.outcome), alike);
        }
        prop_assert_eq!(finished.stats.running, 0);
        prop_assert_eq!(nodes.borrow().under_way, 0);
        prop_assert!(nodes.borrow().most <= case.fanout, "{} at once", nodes.borrow().most);

        // Who did not end the last step that is for it is not ok.
        for (id, host) in finished.hosts.iter().enumerate() {
            let groups = &run_hosts(case.hosts)[id].groups;
            let last = plan.steps.iter().rposition(|step| step.on.includes(groups));
            let did = |step| host.steps.iter().any(|row| row.step == Some(step) && row.outcome.is_success());
            if host.outcome.is_success() {
                prop_assert!(last.is_none_or(did), "n{} is {:?}: {:?}", id, host.outcome, host.steps);
            }
        }

        // What was made is removed again, however the run ended.
        let left: Vec<_> = nodes.borrow().files.iter().filter(|(_, path)| path == MARK).cloned().collect();
        for (host, _) in left {
            let said = finished.hosts[host].failure.as_ref();
            // Where nobody heard that it was made, nobody can say so; that host is no success.
            prop_assert!(!finished.hosts[host].outcome.is_success(), "n{host} keeps its mark: {said:?}");
        }

        // Deadlines and signals are kept: what runs is killed, and only what must be heard or undone comes after.
        let cut = [case.deadline, case.signal].into_iter().flatten().min().map(Duration::from_millis);
        if let Some(cut) = cut {
            let cleanups = u32::try_from(case.hosts * case.steps.len()).unwrap_or(u32::MAX);
            let most = cut + (seconds(4) + Duration::from_millis(200)) * (2 + cleanups);
            prop_assert!(finished.elapsed <= most, "{:?} after {:?}", finished.elapsed, cut);
        }

        // A view that is watched is drawn again and again, whatever the hosts send.
        let mut last = Duration::ZERO;
        for &at in recorder.ticks.iter().chain([&finished.elapsed]) {
            prop_assert!(at <= last + TICK + Duration::from_millis(5), "no tick between {last:?} and {at:?}");
            last = at;
        }
        prop_assert!(finished.stats.exit_status().code() == 0 || finished.stats.counts.bad() > 0
            || finished.stats.cancelled.is_some());
    }
}
