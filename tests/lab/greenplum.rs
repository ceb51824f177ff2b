//! A Greenplum cluster in a lab of three nodes: the stand-in under the names of the real programs.
//!
//! `node1` has the coordinator; `node2` the standby, the primary of content 0 and the mirror of 1; `node3` the primary of 1
//! and the mirror of 0. What the programs do is the stand-in's business (`tests/standin_greenplum`); it is a 6.24.3, or a 7.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::process::Process;
use super::{Lab, opengauss, wait};

/// The names that the stand-in goes by on every node.
const PROGRAMS: [&str; 7] = ["postgres", "pg_ctl", "pg_controldata", "psql", "pg_isready", "gpsegd", "ssh"];
/// Those that only a whole installation has.
pub(crate) const MANAGEMENT: [&str; 6] =
    ["gpstart", "gpstop", "gpactivatestandby", "gpinitstandby", "gprecoverseg", "gpstate"];

pub(crate) const COORDINATOR: &str = "gpdata/coordinator/gpseg-1";
pub(crate) const STANDBY: &str = "gpdata/standby/gpseg-1";
pub(crate) const PRIMARY0: &str = "gpdata/primary/gpseg0";
pub(crate) const PRIMARY1: &str = "gpdata/primary/gpseg1";
pub(crate) const MIRROR0: &str = "gpdata/mirror/gpseg0";
pub(crate) const MIRROR1: &str = "gpdata/mirror/gpseg1";

/// Node, directory, content, role, and the port above the cluster's first.
const INSTANCES: [(usize, &str, i32, &str, u16); 6] = [
    (1, COORDINATOR, -1, "p", 0),
    (2, STANDBY, -1, "m", 0),
    (2, PRIMARY0, 0, "p", 1),
    (3, MIRROR0, 0, "m", 2),
    (3, PRIMARY1, 1, "p", 1),
    (2, MIRROR1, 1, "m", 2),
];

const AGENT_PORT: u16 = 16_500;

/// A cluster laid out on the nodes of a lab.
#[derive(Debug)]
pub(crate) struct Cluster<'lab> {
    pub(crate) lab: &'lab Lab,
    port: u16,
    seven: bool,
}

/// Lays out a stopped cluster of version 6, with or without gpstart and its like.
#[track_caller]
pub(crate) fn install(lab: &Lab, management: bool) -> Cluster<'_> {
    install_version(lab, management, false)
}

/// The same of version 6 or 7.
#[track_caller]
pub(crate) fn install_version(lab: &Lab, management: bool, seven: bool) -> Cluster<'_> {
    assert_eq!(lab.nodes().len(), 3, "the cluster is for three nodes");
    let standin = opengauss::program("standin_greenplum");
    // Without namespaces the nodes share /tmp, and other labs do too.
    let port = if lab.is_private() { 5432 } else { fastrand::u16(20_000..30_000) / 4 * 4 };
    let cluster = Cluster { lab, port, seven };
    for node in lab.nodes() {
        node.mkdir("gp/bin");
        node.mkdir("gp/lib");
        node.copy(&standin, "gp/bin/postgres");
        node.chmod("gp/bin/postgres", 0o755);
        let more: &[&str] = if management { &MANAGEMENT } else { &[] };
        for program in PROGRAMS[1..].iter().chain(more) {
            let to = node.outside(Path::new("gp/bin").join(program));
            fs::hard_link(node.outside("gp/bin/postgres"), to).expect("both are ours");
        }
        // The real one is written for bash.
        node.write("gp/greenplum_path.sh", format!("export GPHOME={}\n", node.base().join("gp").display()));
    }
    cluster.settings("");
    cluster.lay_out();
    for number in 1..=3 {
        cluster.start_agent(number);
    }
    cluster
}

impl Cluster<'_> {
    fn name(&self, number: usize) -> &str {
        self.lab.node(number).name()
    }

    fn agent(&self, number: usize) -> String {
        format!("{}:{AGENT_PORT}", self.lab.node(number).address().ip())
    }

    /// The settings of the stand-in on every node, and more of them: `fts=SECONDS`, `pace=MILLISECONDS`.
    pub(crate) fn settings(&self, more: &str) {
        let names = (1..=3).map(|number| format!("{}={}", self.name(number), self.agent(number)));
        let addresses =
            (1..=3).map(|number| format!("{}={}", self.lab.node(number).address().ip(), self.agent(number)));
        let agents = names.chain(addresses).collect::<Vec<_>>().join(",");
        let dialect = if self.seven { 7 } else { 6 };
        for (number, node) in (1..).zip(self.lab.nodes()) {
            let (address, agent) = (node.address().ip(), self.agent(number));
            let text = format!("dialect={dialect}\naddress={address}\nagent={agent}\nagents={agents}\n{more}\n");
            node.write("gp/standin.conf", text);
        }
    }

    /// Writes every data directory as it is before the first start.
    #[track_caller]
    fn lay_out(&self) {
        let catalog = self.catalog();
        for (number, dir, content, role, above) in INSTANCES {
            let node = self.lab.node(number);
            let file = |name: &str| Path::new(dir).join(name);
            node.write(file("PG_VERSION"), if self.seven { "12\n" } else { "9.4\n" });
            node.write(file("postgresql.conf"), format!("# port=1\nport={} ##port 5432\t\n", self.port + above));
            node.write(file("standin.control"), "timeline=1\nstate=shut down\n");
            node.mkdir(file(if self.seven { "log" } else { "pg_log" }));
            node.remove(file(self.follow_file()));
            if role == "m" {
                self.follow(number, dir);
            }
            if content < 0 {
                node.write(file("standin.catalog"), &catalog);
            }
        }
    }

    /// Ends everything, and begins anew with every instance in its place.
    #[track_caller]
    pub(crate) fn begin_anew(&self) {
        self.crash();
        self.lay_out();
    }

    /// Makes a directory one of a mirror or standby.
    fn follow(&self, number: usize, dir: &str) {
        let node = self.lab.node(number);
        let file = |name: &str| Path::new(dir).join(name);
        let content = INSTANCES.iter().find(|instance| instance.1 == dir).map_or(-1, |instance| instance.2);
        let source = INSTANCES.iter().find(|other| other.2 == content && other.3 == "p").expect("it has a primary");
        let (host, port) = (self.lab.node(source.0).address().ip(), self.port + source.4);
        let line = format!(
            "primary_conninfo = 'user=gpadmin host={host} port={port} sslmode=disable sslcompression=1 \
             krbsrvname=postgres application_name=gp_walreceiver'\n"
        );
        if self.seven {
            node.write(file("standby.signal"), "");
            node.write(file("postgresql.auto.conf"), line);
        } else {
            // The standby has no slot.
            let slot = if content < 0 { "" } else { "primary_slot_name = 'internal_wal_replication_slot'\n" };
            node.write(file("recovery.conf"), format!("standby_mode = 'on'\n{line}{slot}"));
        }
    }

    /// The file that makes a directory one of a mirror or standby.
    pub(crate) fn follow_file(&self) -> &'static str {
        if self.seven { "standby.signal" } else { "recovery.conf" }
    }

    /// Lets the profile of the cluster's user say where things are, as an administrator does, for a hosts file that does not.
    pub(crate) fn login_environment(&self) {
        for number in 1..=3 {
            let base = self.lab.node(number).base().display().to_string();
            let data = match number {
                1 => format!("export MASTER_DATA_DIRECTORY={base}/{COORDINATOR}\n"),
                2 => format!("export MASTER_DATA_DIRECTORY={base}/{STANDBY}\n"),
                _ => String::new(),
            };
            self.lab.node(number).write("home/.bashrc", format!("source {base}/gp/greenplum_path.sh\n{data}"));
        }
    }

    /// A hosts file with nothing but hosts and groups.
    #[track_caller]
    pub(crate) fn plain_hosts_file(&self) -> PathBuf {
        let lines = self.lab.nodes().iter().map(|node| self.lab.hosts_line(node.name(), node.address()));
        let text: String = lines.map(|line| line.trim_end().to_owned() + "\n").collect();
        self.lab.write_hosts_file(&(text + "[coordinator]\nnode1\n[standby]\nnode2\n[segments]\nnode2\nnode3\n"))
    }

    /// The rows of the catalog as the coordinator has them now, or the standby.
    pub(crate) fn rows(&self, number: usize, dir: &str) -> Vec<String> {
        let text = self.lab.node(number).text(Path::new(dir).join("standin.catalog"));
        text.lines().map(str::to_owned).collect()
    }

    /// Runs a program of the installation on a node, as an administrator would who is logged in there.
    pub(crate) fn run(&self, number: usize, command: &str) -> std::process::Output {
        let bin = self.lab.node(number).base().join("gp/bin");
        self.lab.node(number).sh_as_user(&format!("PATH={}:$PATH; {command}", bin.display()))
    }

    /// Ends the postmaster of one directory with SIGKILL.
    #[track_caller]
    pub(crate) fn kill_instance(&self, number: usize, dir: &str) {
        let path = self.path(number, dir);
        for (running, process) in self.postmasters(number) {
            if running == path {
                process.kill(Signal::KILL);
            }
        }
        wait::until("it is dead", || !self.runs(number, dir));
    }

    /// A port of the cluster: 0 is that of coordinator and standby, 1 of primaries, 2 of mirrors.
    pub(crate) fn port(&self, above: u16) -> u16 {
        self.port + above
    }

    /// How the postmaster of a directory was started.
    #[track_caller]
    pub(crate) fn command_line(&self, number: usize, dir: &str) -> Vec<String> {
        let path = self.path(number, dir);
        let found = self.postmasters(number).into_iter().find(|(running, _)| *running == path);
        found.unwrap_or_else(|| panic!("{dir} does not run: {}", self.census())).1.cmdline
    }

    /// Sessions that an instance which runs has refused for their kind, as its log has them.
    pub(crate) fn refusals(&self, number: usize, dir: &str) -> Vec<String> {
        let log = Path::new(dir).join(if self.seven { "log" } else { "pg_log" }).join("gpdb-2026-11-28_193428.csv");
        if !self.lab.node(number).exists(&log) {
            return Vec::new();
        }
        let text = self.lab.node(number).text(log);
        let of_kind = |line: &&str| {
            ["mode connections are allowed", "are not allowed", "parameter"].iter().any(|part| line.contains(part))
        };
        text.lines().filter(of_kind).map(str::to_owned).collect()
    }

    pub(crate) fn catalog(&self) -> String {
        let mut text = String::new();
        for (dbid, (number, dir, content, role, above)) in (1..).zip(INSTANCES) {
            let (name, data) = (self.name(number), self.path(number, dir));
            let mode = if content < 0 && role == "p" { "n" } else { "s" };
            let port = self.port + above;
            let _ = writeln!(text, "{dbid}|{content}|{role}|{role}|{mode}|u|{port}|{name}|{name}|{}", data.display());
        }
        text
    }

    /// A data directory as its node sees it.
    pub(crate) fn path(&self, number: usize, dir: &str) -> PathBuf {
        self.lab.node(number).base().join(dir)
    }

    /// What gpstart reaches over ssh: without it the node is unreachable for it, and only for it.
    #[track_caller]
    pub(crate) fn start_agent(&self, number: usize) {
        let node = self.lab.node(number);
        let gpsegd = node.base().join("gp/bin/gpsegd");
        let output = node.sh_as_user(&format!("nohup setsid {} >/dev/null 2>&1 </dev/null &", gpsegd.display()));
        assert!(output.status.success(), "{}: gpsegd: {output:?}", node.name());
        let address = self.agent(number);
        wait::until("gpsegd listens", || std::net::TcpStream::connect(&address).is_ok());
    }

    #[track_caller]
    pub(crate) fn kill_agent(&self, number: usize) {
        self.kill(number, "gpsegd");
    }

    /// Kills a program on a node, all of its processes.
    #[track_caller]
    pub(crate) fn kill(&self, number: usize, program: &str) {
        let exe = Path::new("gp/bin").join(program);
        let node = self.lab.node(number);
        for process in node.running_exe(&exe) {
            process.kill(Signal::KILL);
        }
        wait::until("it is dead", || node.running_exe(&exe).is_empty());
    }

    /// The hosts file with the groups; these lines come last.
    #[track_caller]
    pub(crate) fn hosts_file(&self, more: &str) -> PathBuf {
        let mut text = String::new();
        for (number, node) in (1..).zip(self.lab.nodes()) {
            let line = self.lab.hosts_line(node.name(), node.address());
            let base = node.base().display();
            let data = match number {
                1 => format!(" coordinator_data={base}/{COORDINATOR}"),
                2 => format!(" standby_data={base}/{STANDBY}"),
                _ => String::new(),
            };
            let _ = writeln!(text, "{} gphome={base}/gp{data}", line.trim_end());
        }
        text += "[coordinator]\nnode1\n[standby]\nnode2\n[segments]\nnode2\nnode3\n";
        self.lab.write_hosts_file(&(text + more))
    }

    /// The `segments` variable of a node.
    pub(crate) fn segments(&self, number: usize) -> String {
        let own = INSTANCES.iter().filter(|(node, _, content, ..)| *node == number && *content >= 0);
        let words = own.map(|(_, dir, content, role, above)| {
            format!("{}:{}:{role}:{content}", self.path(number, dir).display(), self.port + above)
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// The postmasters of a node by the data directories they were started with; zombies do not count.
    pub(crate) fn postmasters(&self, number: usize) -> Vec<(PathBuf, Process)> {
        let running = self.lab.node(number).running_exe("gp/bin/postgres");
        let with_directory = running.into_iter().filter_map(|process| {
            let at = process.cmdline.iter().position(|argument| argument == "-D")?;
            Some((PathBuf::from(process.cmdline.get(at + 1)?), process))
        });
        let mut found: Vec<_> = with_directory.collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Whether the postmaster of a data directory runs.
    pub(crate) fn runs(&self, number: usize, dir: &str) -> bool {
        let path = self.path(number, dir);
        self.postmasters(number).iter().any(|(running, _)| *running == path)
    }

    /// Process numbers of all postmasters.
    pub(crate) fn pids(&self) -> Vec<i32> {
        (1..=3).flat_map(|number| self.postmasters(number)).map(|(_, process)| process.pid).collect()
    }

    /// The role that the coordinator was started in last.
    pub(crate) fn coordinator_role(&self) -> Option<String> {
        let (_, process) = self.postmasters(1).into_iter().next()?;
        let named = process.cmdline.iter().find_map(|argument| argument.strip_prefix("gp_role="));
        named
            .or_else(|| process.cmdline.iter().any(|argument| argument == "-E").then_some("dispatch"))
            .map(str::to_owned)
    }

    /// Ends everything at once, with SIGKILL: pid files are left over.
    #[track_caller]
    pub(crate) fn crash(&self) {
        for number in 1..=3 {
            for program in MANAGEMENT.into_iter().chain(["postgres"]) {
                self.kill(number, program);
            }
        }
    }

    /// Makes an instance misbehave: the words of its `standin.fault`.
    #[track_caller]
    pub(crate) fn fault(&self, number: usize, dir: &str, words: &str) {
        self.lab.node(number).write(Path::new(dir).join("standin.fault"), words);
    }

    /// Makes it behave again.
    pub(crate) fn heal(&self, number: usize, dir: &str) {
        self.lab.node(number).remove(Path::new(dir).join("standin.fault"));
    }

    /// Node by node what runs: what a failed test wants to show.
    pub(crate) fn census(&self) -> String {
        (1..=3).fold(String::new(), |mut text, number| {
            for (dir, process) in self.postmasters(number) {
                let _ = writeln!(text, "{}: {} {:?}", self.name(number), dir.display(), process.cmdline);
            }
            text
        })
    }
}
