//! A fleet without a network: each host answers as its script says, in virtual time.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_channel::Sender;

use crate::budget::Reserved;
use crate::event::{HostId, Stream};
use crate::outcome::{Failure, Killed, Phase};
use crate::output::Output;
use crate::reactor::{now, virtual_time};
use crate::runner::executor::{Executor, FleetEvent};
use crate::runner::job::{Job, JobResult, Work};
use crate::runner::script::LOOK_ENDS;
use crate::stats::CancelReason;
use crate::transport::exec::command::CommandPlace;
use crate::transport::{Begun, CommandEnd, CommandResult};

/// Time that it takes to kill what runs on a node.
const KILL: Duration = Duration::from_millis(200);
/// What a host that floods takes to send a piece.
const PIECE: Duration = Duration::from_millis(1);

/// What a job on a host comes to.
#[derive(Debug, Clone)]
pub(super) struct Reaction {
    pub(super) after: Duration,
    pub(super) says: Says,
    /// Output comes all the time until then, faster than it can be taken.
    pub(super) flood: bool,
}

/// How a job ends.
#[derive(Debug, Clone)]
pub(super) enum Says {
    /// It ended with this status, having printed this. What is touched or removed there is, as files of the fake node.
    Exit(i32, String),
    /// It ended with status 0, and did and printed nothing.
    Nothing,
    Unreachable,
    Lost,
    TimedOut,
    Signal,
}

impl Reaction {
    pub(super) fn new(says: Says) -> Self {
        Self { after: Duration::from_millis(10), says, flood: false }
    }

    pub(super) fn ok(stdout: &str) -> Self {
        Self::new(Says::Exit(0, stdout.to_owned()))
    }

    pub(super) fn failed() -> Self {
        Self::new(Says::Exit(1, String::new()))
    }

    pub(super) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    pub(super) fn flooding(self) -> Self {
        Self { flood: true, ..self }
    }
}

/// What happened on the nodes, to be looked at afterwards.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Files that are there.
    pub(super) files: BTreeSet<(HostId, String)>,
    /// Texts of the jobs of each host, in order.
    pub(super) jobs: BTreeMap<HostId, Vec<String>>,
    /// When each began.
    pub(super) begun: Vec<(HostId, Instant)>,
    /// Most jobs that were under way at once.
    pub(super) most: usize,
    pub(super) under_way: usize,
    /// Jobs that were killed.
    pub(super) killed: usize,
}

/// What a host does, job by job; given the job's text.
pub(super) type Script = Box<dyn FnMut(HostId, &str) -> Reaction>;

/// The fleet.
pub(super) struct FakeFleet {
    script: Script,
    nodes: Rc<RefCell<Nodes>>,
    under_way: HashMap<HostId, UnderWay>,
    ready: VecDeque<(HostId, FleetEvent)>,
    ends: BinaryHeap<Reverse<(Instant, HostId)>>,
    /// Signals that are sent to the run, whatever it is at.
    signals: Vec<(Instant, CancelReason)>,
    send: Sender<CancelReason>,
}

struct UnderWay {
    ends: Instant,
    /// It was cancelled, and ends soon.
    dies: bool,
    job: Job,
    reaction: Reaction,
}

impl FakeFleet {
    pub(super) fn new(script: Script, signals: Vec<(Instant, CancelReason)>, send: Sender<CancelReason>) -> Self {
        let (under_way, ready, ends) = (HashMap::new(), VecDeque::new(), BinaryHeap::new());
        Self { script, nodes: Rc::default(), under_way, ready, ends, signals, send }
    }

    /// What happens on the nodes.
    pub(super) fn nodes(&self) -> Rc<RefCell<Nodes>> {
        self.nodes.clone()
    }

    /// Ends what is due.
    fn advance(&mut self) {
        let now = now();
        let send = &self.send;
        self.signals.retain(|(at, reason)| *at > now || send.try_send(*reason).is_err());
        while self.ends.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((at, host))) = self.ends.pop() else { break };
            // One that was killed has ended sooner.
            if self.under_way.get(&host).is_some_and(|job| job.ends == at)
                && let Some(job) = self.under_way.remove(&host)
            {
                let done = self.done(host, &job);
                self.ready.push_back((host, FleetEvent::Done(done)));
            }
        }
        if self.ready.is_empty()
            && let Some((&host, _)) = self.under_way.iter().find(|(_, job)| job.reaction.flood)
        {
            virtual_time::pass(PIECE);
            self.kill(now);
            self.ready.push_back((host, FleetEvent::Output(Stream::Stdout, b"y\n".to_vec(), Reserved::default())));
        }
    }

    /// Ends soon what was cancelled.
    fn kill(&mut self, now: Instant) {
        for (&host, job) in &mut self.under_way {
            let killed = now + KILL;
            if job.job.cancel.is_cancelled() && !std::mem::replace(&mut job.dies, true) && killed < job.ends {
                job.ends = killed;
                self.ends.push(Reverse((killed, host)));
            }
        }
    }

    fn done(&self, host: HostId, job: &UnderWay) -> JobResult {
        let mut nodes = self.nodes.borrow_mut();
        nodes.under_way -= 1;
        let is_cancelled = job.dies;
        let (end, stdout) = match &job.reaction.says {
            _ if is_cancelled => {
                nodes.killed += 1;
                (CommandEnd::Cancelled, String::new())
            }
            Says::Unreachable => {
                let failure = Failure::new(Phase::Connect, "no route to host");
                return JobResult::Unreached { failure: Some(failure), attempts: 1 };
            }
            Says::Exit(status, stdout) => {
                (CommandEnd::Exit(*status), stdout.clone() + &changes(&mut nodes, host, job) + end_of_look(job))
            }
            Says::Nothing => (CommandEnd::Exit(0), String::new()),
            Says::Lost => (CommandEnd::Lost("reset".to_owned()), String::new()),
            Says::TimedOut => (CommandEnd::TimedOut(Begun::Heard), String::new()),
            Says::Signal => (CommandEnd::Signal("KILL".to_owned()), String::new()),
        };
        JobResult::Command(Box::new(CommandResult {
            end,
            stdout: stdout.as_str().into(),
            stderr: Output::default(),
            preamble: Vec::new(),
            killed: is_cancelled.then_some(Killed::Yes),
            place: CommandPlace::default(),
            notes: Vec::new(),
            elapsed: job.reaction.after,
        }))
    }
}

/// The line by which a look says that it is whole.
fn end_of_look(job: &UnderWay) -> &'static str {
    match &job.job.work {
        Work::Command(command) if command.whole_text().contains(LOOK_ENDS) => "gsctl_look_ends=yes\n",
        Work::Command(_) | Work::Login | Work::Copy(_) => "",
    }
}

/// Does what gsctl's own scripts do: the last lines of their text are the calls.
fn changes(nodes: &mut Nodes, host: HostId, job: &UnderWay) -> String {
    let Work::Command(command) = &job.job.work else { return String::new() };
    let mut said = String::new();
    for line in command.text.lines() {
        let (call, path) = match line.strip_prefix("for gs_path in ").and_then(|rest| rest.split_once("; do ")) {
            Some((path, call)) => (call.split(' ').next().unwrap_or_default(), path),
            None => line.split_once(' ').unwrap_or((line, "")),
        };
        let path = path.to_owned();
        match call {
            "gs_touch" if nodes.files.insert((host, path.clone())) => said += &format!("created {path}\n"),
            "gs_touch" => said += &format!("present {path}\n"),
            "gs_remove" if nodes.files.remove(&(host, path.clone())) => said += &format!("removed {path}\n"),
            "gs_remove" => said += &format!("absent {path}\n"),
            _ => {}
        }
    }
    said
}

impl Executor for FakeFleet {
    fn submit(&mut self, host: HostId, job: Job) {
        let text = match &job.work {
            Work::Command(command) => command.whole_text().into_owned(),
            Work::Login | Work::Copy(_) => String::new(),
        };
        let reaction = (self.script)(host, &text);
        {
            let mut nodes = self.nodes.borrow_mut();
            nodes.jobs.entry(host).or_default().push(text);
            nodes.begun.push((host, now()));
            nodes.under_way += 1;
            nodes.most = nodes.most.max(nodes.under_way);
        }
        let ends = now() + reaction.after;
        let before = self.under_way.insert(host, UnderWay { ends, dies: false, job, reaction });
        self.ends.push(Reverse((ends, host)));
        assert!(before.is_none(), "host {host} has two jobs at once");
    }

    async fn next(&mut self) -> Option<(HostId, FleetEvent)> {
        poll_fn(|_| {
            self.advance();
            if let Some(note) = self.ready.pop_front() {
                return Poll::Ready(Some(note));
            }
            self.kill(now());
            let ends = self.ends.peek().map(|Reverse((at, _))| *at);
            ends.into_iter().chain(self.signals.iter().map(|(at, _)| *at)).for_each(virtual_time::wake_at);
            Poll::Pending
        })
        .await
    }

    fn ready(&mut self) -> Option<(HostId, FleetEvent)> {
        self.advance();
        self.ready.pop_front()
    }

    fn follow(&mut self, _: bool) {}
}
