//! The run on a fleet without a network, in virtual time: what must hold whatever the hosts do.

mod fake_fleet;
mod faults;
mod obstacles;
mod properties;
mod rolling;
mod waits;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::outcome::{Failure, Outcome};
use crate::plan::{Cleanup, ExecOptions, OnFailure, Step, Template, Vars};
use crate::reactor::virtual_time;
use fake_fleet::{FakeFleet, Nodes, Reaction, Says};

const MARK: &str = "/tmp/mark";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn run_step(name: &str) -> Step {
    Step::new(name, Action::Run { command: Template::literal(name), exec_options: ExecOptions::default() })
}

fn touch_step(name: &str) -> Step {
    let touch = Action::Touch { paths: vec![Template::literal(MARK)], if_exists: None, sudo: None };
    Step { cleanup: Some(Cleanup::Remove), ..Step::new(name, touch) }
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan { name: "test".to_owned(), steps, ..Plan::default() }
}

fn run_hosts(count: usize) -> Vec<RunHost> {
    let run_host = |number: usize| RunHost {
        name: format!("n{number}").into(),
        groups: [if number == 0 { "first".to_owned() } else { "others".to_owned() }].into(),
        vars: Vars::default(),
        user: "omm".into(),
        port: 22,
        timeout: None,
    };
    (0..count).map(run_host).collect()
}

fn settings() -> RunSettings {
    RunSettings {
        fanout: 128,
        keep: true,
        canary: None,
        serial: None,
        max_fail: None,
        deadline: None,
        allow_unreachable: AllowUnreachable::Count(0),
        force: false,
        stream: false,
        live: true,
        follow: false,
        resume: None,
        writer: Arc::default(),
    }
}

/// Remembers all events, without output.
#[derive(Default)]
struct Recorder {
    events: Vec<(Event, RunStats)>,
    ticks: Vec<Duration>,
    fails: bool,
}

impl Reporter for Recorder {
    fn event(&mut self, event: &Event, stats: &RunStats) -> io::Result<()> {
        if !matches!(event.kind, EventKind::Output { .. }) {
            self.events.push((event.clone(), stats.clone()));
        }
        if self.fails { Err(io::Error::other("no room")) } else { Ok(()) }
    }

    fn tick(&mut self, at: Duration) {
        self.ticks.push(at);
    }
}

/// A run that is over.
struct Played {
    finished: RunResult,
    recorder: Recorder,
    nodes: Rc<RefCell<Nodes>>,
}

impl Played {
    fn outcomes(&self) -> Vec<Outcome> {
        self.finished.hosts.iter().map(|host| host.outcome).collect()
    }

    fn jobs(&self, host: HostId) -> Vec<String> {
        self.nodes.borrow().jobs.get(&host).cloned().unwrap_or_default()
    }

    fn seen(&self, is_it: impl Fn(&EventKind) -> bool) -> usize {
        self.recorder.events.iter().filter(|(event, _)| is_it(&event.kind)).count()
    }

    fn failure(&self, host: HostId) -> &Failure {
        self.finished.hosts[host].failure.as_ref().expect("it failed")
    }
}

/// A run to be.
struct Play {
    plan: Plan,
    run_hosts: Vec<RunHost>,
    settings: RunSettings,
    script: fake_fleet::Script,
    recorder: Recorder,
    signals: Vec<(Duration, CancelReason)>,
}

impl Play {
    fn new(plan: Plan, hosts: usize, script: impl FnMut(HostId, &str) -> Reaction + 'static) -> Self {
        Self {
            plan,
            run_hosts: run_hosts(hosts),
            settings: settings(),
            script: Box::new(script),
            recorder: Recorder::default(),
            signals: Vec::new(),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut RunSettings)) -> Self {
        set(&mut self.settings);
        self
    }

    /// A signal so long after the start.
    fn signal(mut self, at: Duration, reason: CancelReason) -> Self {
        self.signals.push((at, reason));
        self
    }

    fn run(self) -> Played {
        let Self { plan, run_hosts, settings, script, mut recorder, signals } = self;
        let (send, receive) = async_channel::unbounded();
        let (played, nodes) = virtual_time::block_on(async {
            let start = now();
            let signals = signals.into_iter().map(|(at, reason)| (start + at, reason)).collect();
            let fleet = FakeFleet::new(script, signals, send);
            let nodes = fleet.nodes();
            (run(&plan, run_hosts, settings, fleet, receive, &mut NoRunLog, &mut recorder).await, nodes)
        });
        Played { finished: played, recorder, nodes }
    }
}
