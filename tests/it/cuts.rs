//! Connections that are cut, silenced or reset at a chosen byte of either side. Whatever gsctl says, the node's disk and process
//! table are the judge: no success of what was not done, no half of a command run, nothing run twice, no process left that was
//! not owned up to.
//!
//! `make cuts` makes thousands of them (`CUTS`), `CUTS_SEED` repeats a series.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;
use serde_json::Value;

use crate::files::noise;
use crate::gsctl::Gsctl;
use crate::lab::opengauss::{self, Cluster, MARKER};
use crate::lab::process::Process;
use crate::lab::proxy::{Fault, Point, Proxy};
use crate::lab::{Lab, Node, wait};

/// Nodes, each with a series of cuts of its own; the last is the jump host of all.
const NODES: usize = 4;
/// Bytes of a file that is copied.
const FILE: usize = 300_000;
/// Of so many cuts one is of the start of a cluster.
const STARTS: usize = 24;
/// Words of a command that does not fit into one packet.
const WORDS: usize = 12_000;

fn words() -> String {
    (0..WORDS).fold(String::new(), |words, number| words + " x" + &number.to_string())
}

/// What is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Exec,
    /// A command that goes on until it is killed.
    Stays,
    LongCommand,
    Script,
    LongScript,
    Touch,
    Rm,
    Push,
    Pull,
    SudoExec,
    SudoPush,
    SudoPull,
    Jump,
    OpenSsh,
    Start,
}

const ALL: [Work; 15] = [
    Work::Exec,
    Work::Stays,
    Work::LongCommand,
    Work::Script,
    Work::LongScript,
    Work::Touch,
    Work::Rm,
    Work::Push,
    Work::Pull,
    Work::SudoExec,
    Work::SudoPush,
    Work::SudoPull,
    Work::Jump,
    Work::OpenSsh,
    Work::Start,
];

/// One cut.
#[derive(Debug)]
struct Cut {
    work: Work,
    point: Point,
    fault: Fault,
    /// Connections that break; others pass.
    first: usize,
}

/// A node, what is done on it, and how many bytes that takes.
struct Series<'a> {
    lab: &'a Lab,
    node: &'a Node,
    number: usize,
    /// Where a cluster is started.
    cluster: Option<&'a Cluster<'a>>,
    random: Rng,
    /// Bytes of the client and of the server, where nothing is cut.
    lengths: Vec<(Work, (usize, usize))>,
    measured: bool,
    round: usize,
}

fn lab() -> Lab {
    crate::lab::need_root();
    Lab::builder()
        .nodes(NODES)
        .user("free", "/bin/sh")
        .sudoers("free ALL=(ALL) NOPASSWD: ALL\n")
        .sshd_config("MaxStartups 200\nAllowTcpForwarding yes\n")
        .start()
}

impl Series<'_> {
    /// gsctl on its way through a proxy.
    fn through(&self, work: Work, address: SocketAddr) -> Gsctl {
        let user =
            if matches!(work, Work::SudoExec | Work::SudoPush | Work::SudoPull) { "free" } else { self.lab.user() };
        let attempts = if self.round.is_multiple_of(2) { "1" } else { "3" };
        // Where nothing is cut, a busy machine may take its time.
        let [keepalive, connect] = if self.measured { ["2sx1", "4s"] } else { ["60sx1", "60s"] };
        let mut gsctl = self.lab.gsctl().json().args(["--keepalive", keepalive, "--connect-timeout", connect]);
        gsctl = gsctl.args(["--connect-attempts", attempts]);
        match work {
            Work::Jump => {
                let jump = format!("{user}@{}:{}", address.ip(), address.port());
                let node = self.node.address();
                gsctl
                    .args(["-J", &jump, "-w", &format!("{user}@{}:{}", node.ip(), node.port())])
                    .args(["--host-key-policy", "off"])
            }
            Work::OpenSsh => {
                let sockets = self.lab.dir().join(format!("s{}", self.number));
                fs::create_dir_all(&sockets).unwrap();
                let name = format!("cut{}-{}", self.number, self.round);
                let hosts = self.lab.write_hosts_file(&self.lab.hosts_line(&name, address));
                gsctl
                    .hosts_file(hosts)
                    .args(["--transport", "openssh", "-F", "none", "-o", "StrictHostKeyChecking=no"])
                    .args(["-o", "UserKnownHostsFile=/dev/null"])
                    .env("TMPDIR", sockets)
            }
            _ => {
                let name = format!("cut{}-{}", self.number, self.round);
                let hosts = self.lab.write_hosts_file(&format!(
                    "{name} address={} port={} user={user} gausshome={}\n",
                    address.ip(),
                    address.port(),
                    self.node.gausshome().display()
                ));
                gsctl.hosts_file(hosts).args(["--host-key-policy", "off"])
            }
        }
    }

    /// Where this round writes on the node.
    fn dir(&self) -> PathBuf {
        self.node.base().join(format!("data/cut{}", self.round))
    }

    fn at(&self, name: &str) -> String {
        self.dir().join(name).display().to_string()
    }

    fn local(&self, name: &str) -> PathBuf {
        self.lab.client_home().join(format!("cut{}-{}-{name}", self.number, self.round))
    }

    /// The order, complete.
    fn order(&self, work: Work, gsctl: Gsctl) -> Gsctl {
        let (ran, whole) = (self.at("ran"), self.at("whole"));
        let command = format!("echo ran >>{ran}; sleep 0.02; echo whole >>{whole}");
        match work {
            Work::Exec | Work::Jump | Work::OpenSsh => gsctl.args(["exec", "--", &command]),
            Work::SudoExec => gsctl.args(["exec", "--sudo", "--", &command]),
            Work::Stays => {
                gsctl.args(["-t", "1s", "exec", "--", &format!("echo ran >>{ran}; exec sleep 7{:05}", self.round)])
            }
            Work::LongCommand => {
                gsctl.args(["exec", "--", &format!("echo ran >>{ran}\n: {}\necho whole >>{whole}", words())])
            }
            Work::Script => {
                let script = self.local("script");
                fs::write(&script, format!("#!/bin/sh\n{command}\n")).unwrap();
                gsctl.arg("script").arg(script)
            }
            Work::LongScript => {
                let script = self.local("script");
                fs::write(&script, format!("#!/bin/sh\necho ran >>{ran}\n: {}\necho whole >>{whole}\n", words()))
                    .unwrap();
                gsctl.arg("script").arg(script)
            }
            Work::Touch => gsctl.args(["touch", &self.at("mark")]),
            Work::Rm => gsctl.args(["rm", &self.at("victim*")]),
            Work::Push => gsctl.arg("push").arg(self.lab.client_home().join("cut.bin")).arg(self.at("app.bin")),
            Work::SudoPush => {
                gsctl.args(["push", "--sudo"]).arg(self.lab.client_home().join("cut.bin")).arg(self.at("app.bin"))
            }
            Work::Pull => gsctl.args(["pull", &self.at("log.bin")]).arg(self.local("{host}")),
            Work::SudoPull => gsctl.args(["pull", "--sudo", &self.at("log.bin")]).arg(self.local("{host}")),
            Work::Start => gsctl.args(["start", "--wait", "20s"]),
        }
    }

    /// What has to be there before.
    fn prepare(&mut self, work: Work) {
        self.round += 1;
        self.node.mkdir(self.dir());
        match work {
            Work::Rm => self.node.write(self.at("victim1"), ""),
            Work::Pull => self.node.write(self.at("log.bin"), noise(FILE)),
            Work::SudoPull => {
                self.node.write(self.at("log.bin"), noise(FILE));
                self.node.chmod(self.at("log.bin"), 0o600);
            }
            Work::Start => {
                let cluster = self.cluster.expect("there is one");
                cluster.start_monitor(self.number);
                cluster.stop();
            }
            _ => {}
        }
    }

    /// Learns how many bytes each order takes.
    fn measure(&mut self, works: &[Work]) {
        for &work in works {
            self.prepare(work);
            let proxy = Proxy::to(self.way(work)).start();
            let run = self.order(work, self.through(work, proxy.address())).run();
            assert_eq!(run.status, if work == Work::Stays { 3 } else { 0 }, "{work:?}\n{run}");
            self.judge(work, &run.json(), run.status);
            self.lengths.push((work, proxy.passed()));
            drop(proxy);
            self.quiet(work, &Value::Null);
        }
        self.measured = true;
    }

    /// The server that the proxy stands before.
    fn way(&self, work: Work) -> SocketAddr {
        if work == Work::Jump { self.lab.node(NODES).address() } else { self.node.address() }
    }

    fn cut(&mut self, works: &[Work]) -> Cut {
        let random = &mut self.random;
        let work = works[random.usize(..works.len())];
        let (_, (sent, received)) = *self.lengths.iter().find(|(known, _)| *known == work).expect("it was measured");
        // The end of it matters as much as the beginning, whatever lies between.
        let at = |random: &mut Rng, length: usize| match random.usize(..4) {
            0 => length - random.usize(1..=length.min(600)),
            1 => random.usize(1..=length.min(6_000)),
            _ => random.usize(1..=length),
        };
        let point = if random.bool() { Point::Sent(at(random, sent)) } else { Point::Bytes(at(random, received)) };
        // What stands still is waited for.
        let fault = match random.usize(..8) {
            0 => Fault::Hang,
            1..4 => Fault::Close,
            _ => Fault::Reset,
        };
        Cut { work, point, fault, first: if random.bool() { 1 } else { usize::MAX } }
    }

    /// One cut, and what came of it.
    fn try_once(&mut self, works: &[Work]) {
        let cut = self.cut(works);
        self.prepare(cut.work);
        let proxy = Proxy::to(self.way(cut.work)).at(cut.point, cut.fault).first(cut.first).start();
        let gsctl = self.order(cut.work, self.through(cut.work, proxy.address()));
        let run = gsctl.watchdog(Duration::from_secs(100)).run();
        drop(proxy);
        let story = || format!("node{} round {}: {cut:?}\n{run}", self.number, self.round);
        let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", story()));
        assert!([0, 3, 4, 5, 7].contains(&run.status), "{}", story());
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.quiet(cut.work, &report["hosts"][0]);
            self.judge(cut.work, &report, run.status);
        }));
        assert!(judged.is_ok(), "{}", story());
        if cut.work != Work::Start {
            self.node.remove(self.dir());
        }
    }

    /// Waits until nothing of ours runs on the node any more; what stays must have been owned up to.
    #[track_caller]
    fn quiet(&self, work: Work, host: &Value) {
        let is_ours = |process: &Process| {
            let of_cluster =
                process.cmdline.iter().any(|word| word.contains("/app/bin/") || word.contains("om_monitor"));
            !process.comm.starts_with("sshd") && process.state != 'Z' && !of_cluster && process.comm != "sleep"
        };
        let is_quiet = || self.node.sessions().is_empty() && !self.node.processes().iter().any(is_ours);
        let marker = format!("7{:05}", self.round);
        let left = || -> Vec<Process> {
            let stays = |process: &Process| process.comm == "sleep" && process.cmdline.contains(&marker);
            self.node.processes().into_iter().filter(|process| stays(process) && process.state != 'Z').collect()
        };
        if work == Work::Stays {
            // Its shell waits for it.
            wait::until("the node is quiet, or holds on", || {
                self.node.sessions().is_empty() && (is_quiet() || !left().is_empty())
            });
            let left = left();
            let owned_up = host["remote_killed"] == false || host["error"].to_string().contains("may have been run");
            assert!(left.is_empty() || owned_up, "{left:?} was left, and nobody says so: {host:#}");
            for process in left {
                process.kill(Signal::KILL);
            }
        }
        wait::until("the node is quiet", is_quiet);
    }

    /// Holds the node's disk against what gsctl says.
    #[track_caller]
    fn judge(&self, work: Work, report: &Value, status: i32) {
        let lines = |name: &str| {
            let path = self.at(name);
            if self.node.exists(&path) { self.node.text(&path).lines().count() } else { 0 }
        };
        let (ran, whole) = (lines("ran"), lines("whole"));
        assert!(ran <= 1 && whole <= 1, "run twice");
        let host = &report["hosts"][0];
        // A lost connection is called that.
        for wrong in ["no SFTP", "SFTP cannot begin", "no common algorithms", "MaxSessions"] {
            assert!(!host["error"].to_string().contains(wrong), "`{wrong}` for a cut");
        }
        let changed = host["steps"][0]["changes"][0]["action"].as_str().unwrap_or_default().to_owned();
        let good = status == 0;
        match work {
            Work::Exec | Work::Script | Work::SudoExec | Work::Jump | Work::OpenSsh => {
                assert!(!good || ran + whole == 2, "a success of what was not done");
            }
            Work::LongCommand | Work::LongScript => {
                assert!(!good || ran + whole == 2, "a success of what was not done");
                assert!(ran == whole, "half of it was run");
            }
            Work::Stays => assert!(!good, "it never ends by itself"),
            Work::Touch => {
                let claims = good || changed == "created" || changed == "present";
                assert!(!claims || self.node.exists(self.at("mark")), "a success of what was not done");
            }
            Work::Rm => {
                let claims = good || changed == "removed" || changed == "absent";
                assert!(!claims || !self.node.exists(self.at("victim1")), "a success of what was not done");
            }
            Work::Push | Work::SudoPush => {
                let path = self.at("app.bin");
                let there = self.node.exists(&path);
                assert!(there || !good && changed != "created", "a success of what was not done");
                assert!(!there || self.node.read(&path) == noise(FILE), "half a file has the name of a whole one");
            }
            Work::Pull | Work::SudoPull => {
                let name = host["host"].as_str().unwrap_or_default();
                let path = self.local(name).join("log.bin");
                assert!(path.exists() || !good, "a success of what was not done");
                assert!(
                    !path.exists() || fs::read(&path).unwrap() == noise(FILE),
                    "half a file has the name of a whole one"
                );
            }
            Work::Start => {
                if good {
                    assert!(!self.node.exists(MARKER), "the marker is there");
                    let cluster = self.cluster.expect("there is one");
                    for program in opengauss::PROGRAMS.iter().filter(|program| **program != "cm_ctl") {
                        assert!(!cluster.running(self.number, program).is_empty(), "{program} does not run");
                    }
                }
            }
        }
    }
}

/// So many cuts, on all nodes at once.
#[expect(clippy::print_stdout, reason = "whoever repeats a failure needs the seed")]
fn cuts(count: usize, works: &[Work]) {
    let seed = env::var("CUTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("CUTS_SEED={seed}");
    let (lab, cluster_lab) = (lab(), Lab::start(1));
    let cluster = opengauss::install(&cluster_lab);
    fs::write(lab.client_home().join("cut.bin"), noise(FILE)).unwrap();
    let done = AtomicUsize::new(0);
    let others: Vec<Work> = works.iter().copied().filter(|work| *work != Work::Start).collect();
    let series = |lab, number: usize, cluster| {
        let random = Rng::with_seed(seed.wrapping_add(number as u64));
        Series {
            lab,
            node: Lab::node(lab, number),
            number,
            cluster,
            random,
            lengths: Vec::new(),
            measured: false,
            round: 0,
        }
    };
    thread::scope(|scope| {
        for number in 1..NODES {
            // Each node has a part of the kinds in the short form, and all of them in the long one.
            let part = if count < 100 { NODES - 1 } else { 1 };
            let own: Vec<Work> = others.iter().copied().skip((number - 1) % part).step_by(part).collect();
            let (lab, done, series) = (&lab, &done, &series);
            scope.spawn(move || {
                let mut series = series(lab, number, None);
                series.measure(&own);
                while done.fetch_add(1, Ordering::SeqCst) < count {
                    series.try_once(&own);
                }
            });
        }
        // A start takes its time.
        let mut starts = series(&cluster_lab, 1, Some(&cluster));
        starts.measure(&[Work::Start]);
        for _ in 0..count.div_ceil(STARTS) {
            starts.try_once(&[Work::Start]);
        }
    });
}

#[test]
fn no_cut_makes_a_success_of_what_was_not_done() {
    cuts(36, &ALL);
}

/// `make cuts`: `CUTS` of them, 5000 if not said.
#[test]
#[ignore = "takes an hour: make cuts"]
fn thousands_of_cuts_make_no_success_of_what_was_not_done() {
    let count = env::var("CUTS").map_or(5000, |text| text.parse().expect("a number"));
    cuts(count, &ALL);
}
