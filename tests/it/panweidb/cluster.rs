//! A cluster of two nodes with stand-ins for the database's programs, and a stand-in for `gs_sdr` that works on it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use rustix::process::Signal;
use serde_json::Value;

use crate::gsctl::{Gsctl, Running};
use crate::lab::process::Process;
use crate::lab::{Lab, Node, wait};

/// One file, many names.
pub(super) const TOOL: &str = include_str!("../../standin_panweidb/tool.sh");
const GS_SDR: &str = include_str!("../../standin_panweidb/gs_sdr.sh");
pub(super) const TOOLS: [&str; 7] = ["gs_ctl", "gs_guc", "gsql", "cm_ctl", "gs_om", "gs_encrypt", "ping"];

pub(super) const PRIMARY: &str = "primary";
pub(super) const STANDBY: &str = "standby";
pub(super) const CABIN: &str = "tmp/streaming_cabin";
pub(super) const STAT: &str = "tmp/streaming_cabin/.hadr_cluster_stat";
pub(super) const OWN_HBA: &str = "host all all 127.0.0.1/32 trust";
pub(super) const CONF: &str = "data/dn/postgresql.conf";
/// Of the disaster user. It must stand in nothing that gsctl writes.
pub(super) const PASSWORD: &str = "Disaster@123";
const ADDRESSES: [[&str; 2]; 2] = [["10.1.0.1", "10.1.0.2"], ["10.2.0.1", "10.2.0.2"]];

/// A cluster of two nodes, of which the first has the primary datanode.
pub(super) struct Cluster {
    pub(super) lab: Rc<Lab>,
    /// How many nodes of the lab come before its own.
    before: usize,
    pub(super) hosts: PathBuf,
    pub(super) side: &'static str,
}

/// Lines of the hosts file for nodes of a lab, without peers.
fn lines(lab: &Lab, before: usize, side: &str, more: &str) -> String {
    let own = ADDRESSES[usize::from(side == STANDBY)];
    let mut text = String::new();
    for number in 1..=2 {
        let node = lab.node(before + number);
        let base = node.base().display();
        let line = lab.hosts_line(node.name(), node.address());
        let _ = writeln!(
            text,
            "{} gausshome={base}/app pghost={base}/tmp data_dir={base}/data/dn gphome={base}/om node={number} \
             data_ip={} hadr_user=hadr hadr_password_file={base}/password {more}",
            line.trim_end(),
            own[number - 1]
        );
    }
    text
}

impl Cluster {
    #[track_caller]
    pub(super) fn new(side: &'static str) -> Self {
        Self::of(&Rc::new(Lab::start(2)), 0, side)
    }

    /// Two clusters in one lab, and a hosts file for both.
    #[track_caller]
    pub(super) fn pair() -> (Self, Self, PathBuf) {
        let lab = Rc::new(Lab::start(4));
        let (primary, standby) = (Self::of(&lab, 0, PRIMARY), Self::of(&lab, 2, STANDBY));
        let both = lines(&lab, 0, PRIMARY, "") + &lines(&lab, 2, STANDBY, "");
        let hosts = lab.dir().join("client/hosts-both");
        fs::write(&hosts, format!("{both}\n[primary]\nnode1\nnode2\n[standby]\nnode3\nnode4\n")).unwrap();
        (primary, standby, hosts)
    }

    #[track_caller]
    fn of(lab: &Rc<Lab>, before: usize, side: &'static str) -> Self {
        let peers = ADDRESSES[usize::from(side == PRIMARY)].join(",");
        let hosts = lab.dir().join(format!("client/hosts-{side}"));
        fs::write(&hosts, lines(lab, before, side, &format!("peers={peers}"))).unwrap();
        fs::write(lab.dir().join("gs_sdr.sh"), GS_SDR).unwrap();
        let cluster = Self { lab: Rc::clone(lab), before, hosts, side };
        cluster.reset();
        cluster
    }

    /// Makes the nodes as they were installed.
    pub(super) fn reset(&self) {
        for (number, node) in (1..).zip(self.nodes()) {
            node.processes().iter().filter(|process| is_daemon(process)).for_each(|process| process.kill(Signal::KILL));
            for dir in ["app", "tmp", "data", "cm", "om"] {
                let _ = fs::remove_dir_all(node.outside(dir));
            }
            for dir in ["app/bin", "app/sdr", "tmp", "data/dn", "cm/cm_agent", "cm/cm_server", "om"] {
                node.mkdir(dir);
            }
            for tool in TOOLS {
                node.write(format!("app/bin/{tool}"), TOOL);
                node.chmod(format!("app/bin/{tool}"), 0o755);
            }
            self.conf(number, "");
            node.write("app/sdr/role", if number == 1 { "Primary\n" } else { "Standby\n" });
            node.write("data/dn/pg_hba.conf", format!("{OWN_HBA}\n"));
            node.write("data/dn/pg_ident.conf", "own\n");
            let (own, other) = (format!("10.0.0.{number}"), format!("10.0.0.{}", 3 - number));
            let between = format!(
                "replconninfo1 = 'localhost={own} localport=15501 localheartbeatport=15505 localservice=15504 \
                 remotehost={other} remoteport=15501 remoteheartbeatport=15505 remoteservice=15504'"
            );
            node.write(CONF, format!("wal_keep_segments = 16\nenable_dcf = off\n{between}\n"));
            node.write("om/version.cfg", "openGauss-6.0.0\n92.301\nabcdef01\n");
            node.write("password", format!("{PASSWORD}\n"));
            node.chmod("password", 0o600);
        }
        let _ = fs::remove_dir_all(self.lab.client_home().join(".local/state/gsctl"));
    }

    /// What the standby fetches from the primary.
    pub(super) fn give_keys(&self) {
        for node in self.nodes() {
            for (name, text) in [
                ("version.cfg", "openGauss-6.0.0\n92.301\nabcdef01\n".to_owned()),
                (".cluster_user_record", self.lab.user().to_owned()),
                ("hadr.key.cipher", "cipher of the primary".to_owned()),
                ("hadr.key.rand", "rand of the primary".to_owned()),
            ] {
                node.write(format!("app/sdr/peer/gs_secure_files/{name}"), text);
            }
        }
    }

    pub(super) fn node(&self, number: usize) -> &Node {
        self.lab.node(self.before + number)
    }

    pub(super) fn nodes(&self) -> [&Node; 2] {
        [self.node(1), self.node(2)]
    }

    pub(super) fn gsctl(&self) -> Gsctl {
        self.lab.gsctl().hosts_file(&self.hosts)
    }

    /// A playbook, which looks often.
    pub(super) fn playbook(&self, name: &str) -> Gsctl {
        let play = self.gsctl().args(["play", &format!("panweidb/sdr-{name}")]);
        if name == "status" { play } else { play.args(["--var", "every=100ms"]) }
    }

    /// The start of this side.
    pub(super) fn play(&self) -> Gsctl {
        self.playbook(&format!("start-{}", self.side)).args(["--var", "time_out=60s"])
    }

    fn mode(&self) -> &'static str {
        if self.side == PRIMARY { "primary" } else { "disaster_standby" }
    }

    /// The stand-in of `gs_sdr`, on the first node: what it said, and its exit status.
    pub(super) fn gs_sdr(&self, arguments: &[&str], dies_in: &str) -> (String, Option<i32>) {
        let index = usize::from(self.side == STANDBY);
        let nodes: Vec<_> = self.nodes().iter().map(|node| node.outside("").display().to_string()).collect();
        let nodes: Vec<_> = nodes.iter().map(|node| node.trim_end_matches('/')).collect();
        let mut command = Command::new("sh");
        command.arg(self.lab.dir().join("gs_sdr.sh")).args(arguments).stdin(Stdio::null());
        command.env("NODES", nodes.join(" ")).env("LOCALS", ADDRESSES[index].join(" "));
        command.env("PEERS", ADDRESSES[1 - index].join(" ")).env("OMM", self.lab.user());
        command.env("HADR_USER", "hadr").env("HADR_PASSWORD", PASSWORD).env("DIES_IN", dies_in);
        if self.lab.is_private() {
            let account = self.node(1).account();
            command.uid(account.uid).gid(account.gid);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (said, output.status.code())
    }

    /// `gs_sdr` starts, or goes on.
    #[track_caller]
    pub(super) fn gs_sdr_starts(&self) {
        let (said, status) = self.gs_sdr(&["-t", "start", "-m", self.mode()], "");
        assert_eq!(status, Some(0), "{said}");
    }

    /// `gs_sdr` is killed when a step is done and not recorded.
    #[track_caller]
    pub(super) fn gs_sdr_dies_in(&self, step: &str) {
        let (said, status) = self.gs_sdr(&["-t", "start", "-m", self.mode()], step);
        assert_eq!(status, None, "{said}");
        self.remove_locks();
    }

    /// By hand, as `gs_sdr` says.
    pub(super) fn remove_locks(&self) {
        for node in self.nodes() {
            for file in self.locks(node) {
                fs::remove_file(file).unwrap();
            }
        }
    }

    #[expect(clippy::unused_self, reason = "it reads as a question to the cluster")]
    pub(super) fn locks(&self, node: &Node) -> Vec<PathBuf> {
        let files = fs::read_dir(node.outside("tmp")).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("streaming_lock_")))
            .collect()
    }

    /// Sets lines of a node's conf.
    pub(super) fn conf(&self, node: usize, lines: &str) {
        self.node(node).write("app/sdr/conf", format!("node={node}\npassword={PASSWORD}\n{lines}"));
    }

    /// The calls of a name on a node.
    pub(super) fn calls(&self, node: usize, name: &str) -> Vec<String> {
        let node = self.node(node);
        if !node.exists("app/sdr/calls") {
            return Vec::new();
        }
        let text = node.text("app/sdr/calls");
        text.lines().filter(|line| line.split(' ').next() == Some(name)).map(str::to_owned).collect()
    }

    pub(super) fn all_calls(&self) -> Vec<String> {
        let text = |node: &&Node| if node.exists("app/sdr/calls") { node.text("app/sdr/calls") } else { String::new() };
        self.nodes().iter().map(text).collect()
    }

    /// Nothing was called since these calls.
    #[track_caller]
    pub(super) fn assert_calls(&self, before: &[String]) {
        for (now, before) in self.all_calls().iter().zip(before) {
            assert_eq!(now.strip_prefix(before.as_str()), Some(""), "calls since");
        }
    }

    /// What the nodes have kept of the run's state.
    pub(super) fn stats(&self) -> Vec<String> {
        let text = |node: &&Node| if node.exists(STAT) { node.text(STAT) } else { "normal".to_owned() };
        self.nodes().iter().map(text).collect()
    }

    #[track_caller]
    pub(super) fn assert_stat(&self, state: &str) {
        assert_eq!(self.stats(), [state, state]);
    }

    pub(super) fn step_file(&self) -> String {
        format!("{CABIN}/.streaming_start_{}.step", self.side)
    }

    /// The number of the step that is recorded.
    pub(super) fn step(&self) -> usize {
        let file = self.node(1).outside(self.step_file());
        let text = fs::read_to_string(file).unwrap_or_default();
        text.split('_').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// How many steps the journal of the last run says are done; none yet has none. It must be readable, always.
    pub(super) fn good_steps(&self) -> usize {
        let Ok(runs) = fs::read_dir(self.lab.client_home().join(".local/state/gsctl/runs")) else { return 0 };
        let last = runs.map(|entry| entry.unwrap().path()).max();
        let Some(text) = last.and_then(|dir| fs::read(dir.join("run.json")).ok()) else { return 0 };
        let run: Value = serde_json::from_slice(&text).expect("the journal is readable at any time");
        run["playbook"]["steps"].as_array().unwrap().iter().filter(|step| step["end"] == "good").count()
    }

    /// Runs until this many steps are done, and kills gsctl there; `None` where it ended before, in one of these ways.
    fn killed_after(&self, mut running: Running, steps: usize, ends: &[i32]) -> Option<usize> {
        let mut ended = false;
        wait::until("the step is done", || {
            ended = running.has_ended();
            ended || self.good_steps() >= steps
        });
        if ended {
            let run = running.wait();
            assert!(ends.contains(&run.status), "{run}");
            return None;
        }
        running.signal(Signal::KILL);
        wait::until("gsctl is gone", || running.has_ended());
        let run = running.wait();
        assert!(run.status == -9 || run.status == 0, "{run}");
        (run.status == -9).then(|| self.good_steps())
    }

    /// Kills gsctl after every so many steps in turn and lets it go on each time; how often it was killed.
    pub(super) fn killed_after_each(&self, stride: usize) -> usize {
        self.killed_in(stride, || self.play())
    }

    /// The same of another playbook.
    pub(super) fn killed_in(&self, stride: usize, play: impl Fn() -> Gsctl) -> usize {
        let mut kills = 0;
        let mut steps = 0;
        while let Some(done) = {
            let play = play();
            let play = if kills == 0 { play } else { play.arg("--resume") };
            self.killed_after(play.spawn(), steps + stride, &[0])
        } {
            assert!(done > steps, "no step is forgotten: {steps} were done, now {done}");
            steps = done;
            kills += 1;
            // What can be read can be shown.
            let shown = self.lab.bare_gsctl().args(["runs", "show", "--json", "-"]).run().expect(0).json();
            assert_eq!(shown["running"], false, "{shown:#}");
            if shown["resumable"] == false {
                break;
            }
        }
        kills
    }

    /// Kills gsctl one step later each time, and begins a run of its own instead of going on with the killed one; how often.
    pub(super) fn killed_and_begun_anew(&self, play: impl Fn() -> Gsctl) -> usize {
        let mut kills = 0;
        // Where nothing was left to do, that is refused.
        while self.killed_after(play().spawn(), kills + 1, &[0, 7]).is_some() {
            kills += 1;
        }
        kills
    }

    /// Kills gsctl when this step is recorded, or the first time after. The first two have no record of their own.
    #[track_caller]
    pub(super) fn gsctl_dies_at(&self, step: usize) {
        let mut running = self.play().spawn();
        let there = || match step {
            0 => self.node(1).exists(format!("{CABIN}/cluster_state_tmp")),
            1 => self.node(1).exists(format!("{CABIN}/.streaming_guc_backup")),
            _ => self.step() >= step,
        };
        wait::until("the step is recorded", || there() || running.has_ended());
        running.signal(Signal::KILL);
        wait::until("gsctl is gone", || running.has_ended());
        let run = running.wait();
        assert_eq!(run.status, -9, "{run}");
        // What it had begun on the nodes goes on to its end; whoever goes on comes after it. Until then there is its lock.
        let (said, status) = self.gs_sdr(&["-t", "start", "-m", self.mode()], "");
        assert!(status == Some(1) && said.contains("after other process exited"), "{said}");
        for node in self.nodes() {
            let user = node.account().uid;
            let is_left = |process: Process| process.uid == user && process.state != 'Z' && !is_daemon(&process);
            wait::until("nothing of it runs on the node", || {
                node.sessions().is_empty() && !(self.lab.is_private() && node.processes().into_iter().any(is_left))
            });
        }
    }

    /// The rules that `gs_sdr` gives a pair, and the node's own.
    #[track_caller]
    fn assert_rules(&self, node: &Node) {
        let text = node.text("data/dn/pg_hba.conf");
        let rules: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let user = self.lab.user();
        let mut wanted = vec![OWN_HBA.to_owned()];
        for address in ADDRESSES.iter().flatten() {
            wanted.push(format!("host all {user} {address}/32 trust"));
            wanted.push(format!("host replication {user} {address}/32 trust"));
            wanted.push(format!("host all all {address}/32 sha256"));
        }
        let other = if self.side == PRIMARY { "10.2.0.0" } else { "10.1.0.0" };
        wanted.push(format!("host replication all {other}/16 sha256"));
        for rule in wanted {
            assert_eq!(rules.iter().filter(|line| **line == rule).count(), 1, "`{rule}` in\n{text}");
        }
    }

    #[track_caller]
    fn assert_pair(&self, state: &str, mode: &str) {
        self.assert_stat(state);
        let peers = ADDRESSES[usize::from(self.side == PRIMARY)];
        for node in self.nodes() {
            self.assert_rules(node);
            assert_eq!(node.text("data/dn/pg_ident.conf"), "own\n");
            let conf = node.text(CONF);
            let infos: Vec<&str> = conf.lines().filter(|line| line.starts_with("replconninfo")).collect();
            assert_eq!(infos.len(), 3, "{conf}");
            assert!(infos[0].ends_with("remoteservice=15504 iscascade=true iscrossregion=false'"), "{conf}");
            for (info, peer) in infos[1..].iter().zip(peers) {
                let there = format!(
                    "localport=15501 localheartbeatport=15505 localservice=15504 remotehost={peer} remoteport=15401 "
                );
                assert!(info.contains(&there) && info.ends_with(" iscascade=false iscrossregion=true'"), "{conf}");
            }
            assert!(conf.contains(&format!("stream_cluster_run_mode = '{mode}'\n")), "{conf}");
            assert!(conf.contains("wal_keep_segments = 16\n"), "{conf}");
            assert!(!node.exists(self.step_file()), "the step file is gone");
            assert!(!node.exists("data/dn/gs_secure_files") && !node.exists(format!("{CABIN}/.gsctl")));
            assert!(!node.exists("app/bin/cluster_manual_start"));
            assert!(node.exists("app/bin/hadr.key.cipher") && node.exists("app/bin/hadr.key.rand"));
            assert_eq!(self.locks(node), [] as [PathBuf; 0]);
            assert!(node.exists(format!("{CABIN}/cluster_conf_record")));
        }
        assert!(self.node(1).exists(format!("{CABIN}/cluster_state_tmp")));
    }

    /// What a standby must be in the end.
    #[track_caller]
    pub(super) fn assert_recovery(&self) {
        self.assert_pair("recovery", "cluster_standby");
        for (number, node) in (1..).zip(self.nodes()) {
            let (role, build) = if number == 1 {
                ("Main Standby\n", "-M hadr_main_standby -r 7200 -q -Q force_copy_from_local")
            } else {
                ("Cascade Standby\n", "-M cascade_standby -b standby_full -r 7200 -t 1209600")
            };
            assert_eq!(node.text("app/sdr/role"), role);
            assert!(
                self.calls(number, "gs_ctl_build").iter().all(|call| call.contains(build)),
                "{:?}",
                self.all_calls()
            );
            assert_eq!(node.text("cm/cm_server/cm_server.conf"), "backup_open = 2\n");
            assert_eq!(node.text("cm/cm_agent/cm_agent.conf"), "agent_backup_open = 2\n");
            assert_eq!(node.text("app/bin/hadr.key.cipher"), "cipher of the primary");
        }
        assert_eq!(self.node(1).text("app/sdr/dcc"), "2");
    }

    /// What a primary must be in the end.
    #[track_caller]
    pub(super) fn assert_archive(&self) {
        self.assert_pair("archive", "cluster_primary");
        let raised =
            self.calls(1, "gs_guc_reload").iter().filter(|call| call.ends_with("wal_keep_segments = 16384")).count();
        assert!(raised >= 1, "{:?}", self.all_calls());
        assert!(self.calls(2, "gs_guc_reload").iter().all(|call| !call.contains("wal_keep")), "only on the primary");
        assert!(self.all_calls().iter().all(|calls| !calls.contains("cm_ctl_stop")), "a primary is never stopped");
        let node = self.node(1);
        assert_eq!(node.text("app/sdr/dcc"), "0");
        assert_eq!(node.text(format!("{CABIN}/.wal_keep_segments_record")), "6001:16\n");
        // Stored with the key that all nodes have.
        let key = node.text("app/bin/hadr.key.cipher");
        assert_eq!(node.text("app/sdr/hadr_user_info").trim(), format!("encrypted-with-{}", key.replace(' ', "-")));
        assert_eq!(self.node(2).text("app/bin/hadr.key.cipher"), key);
    }

    /// In the end of either side.
    #[track_caller]
    pub(super) fn assert_started(&self) {
        if self.side == PRIMARY { self.assert_archive() } else { self.assert_recovery() }
    }
}

/// Whether it is what the stand-in of `gs_ctl start` leaves running.
fn is_daemon(process: &Process) -> bool {
    process.cmdline == ["sleep", "300"]
}

/// The permission bits of a file.
pub(super) fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
