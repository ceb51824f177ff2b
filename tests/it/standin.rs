//! The stand-in for openGauss behaves as the facts say the real programs do.
//!
//! A cluster of three GAUSSHOMEs on this machine, each with its own loopback address; no SSH and no namespaces.

#![allow(clippy::unwrap_used, reason = "a test's helper fails by panicking, as the test does")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const MARKER: &str = "cluster_manual_start";
const PORT: u16 = 15999;

/// Three nodes; everything they started dies with this.
pub(crate) struct Cluster {
    directory: TempDir,
    /// The first three numbers of the nodes' addresses.
    pub(crate) block: String,
    monitors: Vec<Child>,
}

impl Cluster {
    /// Lays the nodes out, stopped: as after an installation, the marker is there.
    pub(crate) fn new(extra: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let block = format!("127.{}.{}", fastrand::u8(1..255), fastrand::u8(..));
        let cluster = Self { directory, block, monitors: Vec::new() };
        for node in 1..=3 {
            let bin = cluster.home(node).join("bin");
            fs::create_dir_all(&bin).unwrap();
            cluster.lay_out_database(node);
            fs::create_dir_all(cluster.node(node).join("cm/cm_agent")).unwrap();
            fs::write(cluster.agent_conf(node), "").unwrap();
            for name in ["om_monitor", "cm_agent", "cm_server", "gaussdb", "cm_ctl"] {
                install(&bin.join(name));
            }
            let block = &cluster.block;
            let nodes = format!("{block}.1,{block}.2,{block}.3");
            let conf = format!("node={node}\nnodes={nodes}\nagent_port={PORT}\nelection=0.5\nstop_delay=0.2\n{extra}");
            let cm_data = cluster.node(0).with_file_name("n{node}").join("cm");
            let conf = format!("{conf}cm_data={}\n", cm_data.display());
            fs::write(bin.join("standin.conf"), conf).unwrap();
            cluster.mark(node, MARKER, "");
        }
        cluster
    }

    /// Lays the nodes out and runs their monitors, which have all seen the marker: without that, a start is "abnormal".
    pub(crate) fn watched(extra: &str) -> Self {
        let mut cluster = Self::new(extra);
        for node in 1..=3 {
            cluster.monitor(node);
        }
        for node in 1..=3 {
            until("a look at the marker", || cluster.log(node).contains("cluster_manual_start=1"));
        }
        cluster
    }

    /// A cluster that is up.
    pub(crate) fn normal(extra: &str) -> Self {
        let cluster = Self::watched(extra);
        cluster.start();
        cluster.until_state("Normal");
        cluster
    }

    /// What a data directory must hold for CM to start a datanode in it.
    pub(crate) fn lay_out_database(&self, node: u32) {
        let directory = self.node(node).join("dn1");
        fs::create_dir_all(directory.join("pg_tblspc")).unwrap();
        for name in ["base", "global", "pg_xlog"] {
            fs::create_dir_all(directory.join(name)).unwrap();
            fs::write(directory.join(name).join("1"), "").unwrap();
        }
    }

    pub(crate) fn node(&self, node: u32) -> PathBuf {
        // Processes are recognised by the path /proc shows.
        self.directory.path().canonicalize().unwrap().join(format!("n{node}"))
    }

    pub(crate) fn home(&self, node: u32) -> PathBuf {
        self.node(node).join("app")
    }

    pub(crate) fn bin(&self, node: u32, name: &str) -> PathBuf {
        self.home(node).join("bin").join(name)
    }

    pub(crate) fn agent_conf(&self, node: u32) -> PathBuf {
        self.node(node).join("cm/cm_agent/cm_agent.conf")
    }

    /// A program in the environment of the cluster's user.
    pub(crate) fn command(&self, node: u32, name: &str) -> Command {
        let mut command = Command::new(self.bin(node, name));
        command
            .env("GAUSSHOME", self.home(node))
            .env("GAUSSLOG", self.node(node).join("log"))
            .env("LD_LIBRARY_PATH", self.home(node).join("lib"))
            .env("STANDIN_ALLOW_ROOT", "1")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn monitor(&mut self, node: u32) {
        let mut command = self.command(node, "om_monitor");
        command.arg("-L").arg(self.node(node).join("log/cm/om_monitor"));
        self.monitors.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    pub(crate) fn ctl(&self, node: u32, arguments: &[&str]) -> Output {
        self.command(node, "cm_ctl").args(arguments).output().unwrap()
    }

    pub(crate) fn stdout(&self, node: u32, arguments: &[&str]) -> String {
        String::from_utf8(self.ctl(node, arguments).stdout).unwrap()
    }

    /// `cm_ctl check` of the agent, as `cm_ctl start` has it run on each node.
    pub(crate) fn check(&self, node: u32) -> i32 {
        let agent = self.bin(node, "cm_agent");
        self.ctl(node, &["check", "-B", "cm_agent", "-T", agent.to_str().unwrap()]).status.code().unwrap()
    }

    pub(crate) fn mark(&self, node: u32, marker: &str, text: &str) {
        fs::write(self.bin(node, marker), text).unwrap();
    }

    pub(crate) fn unmark(&self, node: u32, marker: &str) {
        fs::remove_file(self.bin(node, marker)).unwrap();
    }

    pub(crate) fn start(&self) {
        for node in 1..=3 {
            self.unmark(node, MARKER);
        }
    }

    pub(crate) fn configure(&self, node: u32, line: &str) {
        let path = self.bin(node, "standin.conf");
        let key = line.split('=').next().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let kept = text.lines().filter(|old| !old.starts_with(&format!("{key}=")));
        let text = kept.chain([line]).fold(String::new(), |text, line| text + line + "\n");
        fs::write(path, text).unwrap();
    }

    pub(crate) fn log(&self, node: u32) -> String {
        self.log_of(node, "om_monitor")
    }

    /// Everything in the log directory of a program.
    pub(crate) fn log_of(&self, node: u32, program: &str) -> String {
        let entries = fs::read_dir(self.node(node).join("log/cm").join(program)).into_iter().flatten().flatten();
        entries.map(|entry| fs::read_to_string(entry.path()).unwrap()).collect()
    }

    /// Processes of a node that run this program.
    pub(crate) fn running(&self, node: u32, name: &str) -> Vec<u32> {
        let exe = self.bin(node, name);
        processes().filter(|(_, link)| *link == exe).map(|(pid, _)| pid).collect()
    }

    pub(crate) fn state(&self, node: u32) -> String {
        let text = self.stdout(node, &["query", "-Cv"]);
        let line = text.lines().find_map(|line| line.strip_prefix("cluster_state   : "));
        line.unwrap_or("none").to_owned()
    }

    pub(crate) fn until_state(&self, state: &str) {
        until(&format!("cluster_state {state}"), || self.state(2) == state);
    }

    pub(crate) fn until_gone(&self, node: u32) {
        until("all instances gone", || {
            ["cm_agent", "cm_server", "gaussdb"].iter().all(|name| self.running(node, name).is_empty())
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let root = self.node(0).parent().unwrap().to_path_buf();
        // The killed are replaced until the monitors are dead too, so it takes more than one round.
        for _ in 0..100 {
            let mut left = processes().filter(|(_, exe)| exe.starts_with(&root)).peekable();
            if left.peek().is_none() {
                break;
            }
            left.for_each(|(pid, _)| kill(pid));
            thread::sleep(Duration::from_millis(20));
        }
        for monitor in &mut self.monitors {
            let _ = monitor.wait();
        }
    }
}

/// Copied by another process: a file that this one had open for writing could not be executed while another test forks.
fn install(to: &Path) {
    let tests = std::env::current_exe().unwrap();
    let standin = tests.parent().unwrap().parent().unwrap().join("standin");
    assert!(Command::new("cp").arg(standin).arg(to).status().unwrap().success());
}

fn processes() -> impl Iterator<Item = (u32, PathBuf)> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, fs::read_link(entry.path().join("exe")).ok()?))
    })
}

pub(crate) fn kill(pid: u32) {
    let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
}

pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never happened: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn cmdline(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().replace('\0', "|")
}

#[test]
fn a_cluster_starts_when_the_markers_go_and_stops_when_they_come() {
    let cluster = Cluster::watched("sh=/bin/bash\n");
    assert!(cluster.log(1).contains("cluster_manual_start=1, agent_config_file_r=1, agent_binary_file_x=1, "));
    assert!(cluster.running(1, "cm_agent").is_empty());
    assert_eq!(cluster.check(1), 0);

    cluster.start();
    cluster.until_state("Normal");
    assert_eq!(cluster.check(1), 2);

    for node in 1..=3 {
        cluster.mark(node, MARKER, "0\n1\n2\n");
    }
    for node in 1..=3 {
        cluster.until_gone(node);
        assert!(!cluster.node(node).join("dn1/postmaster.pid").exists());
    }
    assert_eq!(cluster.check(1), 0);
    until("an agent that ended well", || cluster.log(1).contains("have die! pid is"));
    assert!(cluster.log(1).contains("exit status is 0"));
    assert!(!cluster.log(1).contains("did not exit correctly"));
}

#[test]
fn processes_look_like_the_real_ones() {
    let cluster = Cluster::normal("");
    let (home, node) = (cluster.home(1).display().to_string(), cluster.node(1).display().to_string());
    let lines = |name| {
        let mut lines: Vec<_> = cluster.running(1, name).into_iter().map(cmdline).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines("cm_agent"), [format!("{home}/bin/cm_agent||||||||")]);
    assert_eq!(lines("cm_server"), [format!("{home}/bin/cm_server|")]);
    assert_eq!(
        lines("gaussdb"),
        [
            format!("{home}/bin/gaussdb|--fenced|-k|{home}|-D|{node}/log/cm/cm_agent|"),
            format!("{home}/bin/gaussdb|-D|{node}/dn1|-M|pending|"),
        ]
    );
    let agent = cluster.running(1, "cm_agent")[0];
    assert_eq!(fs::read_to_string(format!("/proc/{agent}/comm")).unwrap(), "cm_agent\n");
}

#[test]
fn a_query_prints_the_real_tables() {
    let cluster = Cluster::watched("");
    // One node after the other, so that the first one leads.
    cluster.unmark(1, MARKER);
    until("a lone cm_server", || cluster.stdout(1, &["query", "-Cv"]).contains("1        Standby"));
    cluster.unmark(2, MARKER);
    until("a primary datanode", || cluster.stdout(1, &["query", "-Cv"]).contains("P Primary Normal"));
    cluster.unmark(3, MARKER);
    cluster.until_state("Normal");
    // A standby may not have been asked yet when the state is Normal.
    until("all standbys", || cluster.stdout(1, &["query", "-Cv"]).matches("Standby\n").count() == 2);

    let text = cluster.stdout(1, &["query", "-Cv"]);
    let expected = "\
[  CMServer State   ]

node       instance state
---------------------------
1  cmnode1 1        Primary
2  cmnode2 2        Standby
3  cmnode3 3        Standby

[   Cluster State   ]

cluster_state   : Normal
redistributing  : No
balanced        : Yes
current_az      : AZ_ALL

[  Datanode State   ]

node       instance state            | node       instance state            | node       instance state
---------------------------------------------------------------------------------------------------------------------
1  cmnode1 6001     P Primary Normal | 2  cmnode2 6002     S Standby Normal | 3  cmnode3 6003     S Standby Normal
";
    assert_eq!(text, expected);
    let wide = cluster.stdout(1, &["query", "-Cvipdw"]);
    for node in 1..=3 {
        let (ip, directory) = (format!("{}.{node}", cluster.block), cluster.node(node).display().to_string());
        let (state, letter) = if node == 1 { ("Primary", 'P') } else { ("Standby", 'S') };
        let server = format!("{node}  cmnode{node} {ip:<15}  {node}    {directory}/cm/cm_server {state}\n");
        assert!(wide.contains(&server), "{wide}");
        let port = 15390 + 10 * node;
        let row = format!("{node}  cmnode{node} {ip:<15}  600{node} {port}  {directory}/dn1 {letter} {state} Normal\n");
        assert!(wide.contains(&row), "{wide}");
    }
    let plain = cluster.stdout(1, &["query"]);
    assert!(plain.contains("\n\ncluster_state             : Normal\nredistributing            : No\n"), "{plain}");

    let view = cluster.stdout(2, &["view"]);
    assert!(view.starts_with("NodeHeader:\nversion:301\n"), "{view}");
    assert!(view.contains("nodeCount:3\nnode:2\nazName:AZ1\nazPriority:1\nnode :1\nnodeName:cmnode1\nssh channel :\n"));
    assert!(cluster.stdout(2, &["view", "-v"]).contains("datanode 1:\ndatanodeInstanceID :6003\n"));
}

#[test]
fn a_query_without_a_majority_fails_after_the_table() {
    let cluster = Cluster::watched("");
    assert_eq!(cluster.ctl(1, &["query", "-Cv"]).status.code(), Some(255));
    cluster.unmark(1, MARKER);
    until("a lone cm_server", || cluster.stdout(1, &["query", "-Cv"]).contains("1        Standby"));
    let output = cluster.ctl(1, &["query", "-Cv"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("2        Down\n"), "{text}");
    assert!(text.ends_with(
        "cm_ctl: can't connect to cm_server.\nMaybe cm_server is not running, or timeout expired. Please try again.\n"
    ));
    assert_eq!(output.status.code(), Some(255));
    cluster.unmark(2, MARKER);
    cluster.until_state("Degraded");
}

#[test]
fn dash_makes_every_marker_exist() {
    let cluster = Cluster::watched("sh=/bin/bash\n");
    cluster.unmark(1, MARKER);
    until("an agent", || cluster.check(1) == 2);
    let dash = Path::new("/bin/dash");
    if dash.exists() {
        cluster.configure(1, "sh=/bin/dash");
        assert_eq!(cluster.check(1), 3);
    }
}

#[test]
fn a_check_tells_waiting_from_stopping() {
    let cluster = Cluster::watched("sh=/bin/bash\nstopping_forever=1\n");
    fs::remove_file(cluster.agent_conf(1)).unwrap();
    cluster.unmark(1, MARKER);
    until("a look at the configuration", || {
        cluster.log(1).contains("cluster_manual_start=0, agent_config_file_r=0, agent_binary_file_x=1")
    });
    assert_eq!(cluster.check(1), 4);
    fs::write(cluster.agent_conf(1), "").unwrap();
    until("an agent", || cluster.check(1) == 2);
    cluster.mark(1, MARKER, "");
    assert_eq!(cluster.check(1), 3);
    assert_eq!(cluster.ctl(1, &["check", "-B", "cm_agent", "-T", "a%b"]).status.code(), Some(255));
    assert_eq!(cluster.ctl(1, &["check", "-B", "cm_agent"]).status.code(), Some(1));
    cluster.configure(1, "stopping_forever=0");
    cluster.until_gone(1);
}

#[test]
fn a_killed_agent_is_replaced_and_its_instances_live_on() {
    let cluster = Cluster::normal("");
    let server = cluster.running(1, "cm_server");
    kill(cluster.running(1, "cm_agent")[0]);
    until("the death in the log", || cluster.log(1).contains("cm_agent killed by signal 9"));
    until("a new agent", || !cluster.running(1, "cm_agent").is_empty());
    cluster.until_state("Normal");
    assert_eq!(cluster.running(1, "cm_server"), server);
    assert_eq!(cluster.running(1, "gaussdb").len(), 2);
}

#[test]
fn an_immediate_stop_leaves_the_pid_file() {
    let cluster = Cluster::normal("");
    cluster.mark(1, MARKER, "0\n2\n2\n");
    cluster.until_gone(1);
    assert!(cluster.node(1).join("dn1/postmaster.pid").exists());
    cluster.until_state("Degraded");
    cluster.unmark(1, MARKER);
    cluster.until_state("Normal");
}

#[test]
fn a_stop_is_not_taken_back() {
    let cluster = Cluster::normal("");
    let agent = cluster.running(1, "cm_agent");
    cluster.mark(1, MARKER, "");
    until("a stop", || cluster.running(1, "cm_server").is_empty());
    cluster.unmark(1, MARKER);
    until("another agent", || !cluster.running(1, "cm_agent").is_empty() && cluster.running(1, "cm_agent") != agent);
    cluster.until_state("Normal");
}

#[test]
fn a_slow_cluster_takes_its_time_at_each_stage() {
    let cluster = Cluster::watched("slow=2\n");
    cluster.start();
    cluster.until_state("Unavailable");
    cluster.until_state("Normal");
    let looks = cluster.log(1).matches("cluster_manual_start=0, agent_config_file_r=1").count();
    assert!(looks >= 2, "started at look {looks}");
}

#[test]
fn an_unfinished_stop_is_taken_up_again() {
    let cluster = Cluster::normal("");
    cluster.configure(1, "stop_delay=600");
    cluster.mark(1, MARKER, "");
    until("a stop", || cluster.running(1, "cm_server").is_empty());
    cluster.running(1, "cm_agent").into_iter().for_each(kill);
    until("another try", || cluster.log(1).contains("did not exit correctly last time."));
    cluster.configure(1, "stop_delay=0");
    cluster.until_gone(1);
    until("a look at the marker", || cluster.log(1).trim_end().ends_with("previous_status=0, start_count=0."));
}

#[test]
fn an_agent_in_a_crash_loop_is_started_for_ever() {
    let cluster = Cluster::watched("crash_loop=1\n");
    cluster.unmark(1, MARKER);
    until("three deaths", || cluster.log(1).matches("exit status is 256").count() >= 3);
    assert!(cluster.running(1, "gaussdb").is_empty());
    cluster.mark(1, MARKER, "");
    until("the last try", || cluster.log(1).contains("stop operation: start_times=3."));
    until("giving up", || cluster.log(1).trim_end().ends_with("start_count=3."));
}

#[test]
fn a_cm_server_that_never_comes_leaves_no_primary() {
    let cluster = Cluster::watched("cm_server_never=1\n");
    cluster.start();
    until("datanodes", || (1..=3).all(|node| cluster.running(node, "gaussdb").len() == 2));
    assert_eq!(cluster.state(1), "none");
}

#[test]
fn a_degraded_cluster_has_everything_up() {
    let cluster = Cluster::watched("degraded=1\n");
    cluster.start();
    until("all standbys", || cluster.stdout(1, &["query", "-Cv"]).matches("Standby Normal").count() == 2);
    assert_eq!(cluster.state(1), "Degraded");
}

#[test]
fn a_paused_cluster_does_not_come_up() {
    let cluster = Cluster::watched("");
    (1..=3).for_each(|node| cluster.mark(node, "cluster_manual_pause", ""));
    cluster.start();
    until("datanodes", || cluster.stdout(1, &["query", "-Cv"]).matches("Pending Normal").count() == 3);
    let text = cluster.stdout(1, &["query", "-Cv"]);
    assert!(text.contains("current_az      : AZ_ALL\npausing         : Yes\n"), "{text}");
    assert!(text.contains("cluster_state   : Unavailable\n"), "{text}");
    (1..=3).for_each(|node| cluster.unmark(node, "cluster_manual_pause"));
    cluster.until_state("Normal");
}

#[test]
fn an_instance_can_be_held_by_its_own_marker_or_its_disk() {
    let cluster = Cluster::watched("");
    cluster.mark(1, "instance_manual_start_6001", "");
    fs::remove_dir_all(cluster.node(3).join("dn1")).unwrap();
    cluster.start();
    cluster.until_state("Degraded");
    let text = || cluster.stdout(1, &["query", "-Cv"]);
    until("the reasons", || text().contains("Manually stopped") && text().contains("Disk damaged"));
    assert!(text().contains("balanced        : No\n"), "{}", text());
    assert_eq!(cluster.running(1, "gaussdb").len(), 1);
    cluster.lay_out_database(3);
    cluster.unmark(1, "instance_manual_start_6001");
    cluster.until_state("Normal");
}

#[test]
fn a_node_without_cm_server_still_has_a_datanode() {
    let cluster = Cluster::normal("cm_servers=1\n");
    assert!(cluster.running(3, "cm_server").is_empty());
    assert_eq!(cluster.running(3, "gaussdb").len(), 2);
    let view = cluster.stdout(1, &["view"]);
    assert_eq!(view.matches("cmServer 1:").count(), 1);
    assert_eq!(view.matches("datanodeCount :1").count(), 3);
}

#[test]
fn a_changing_configuration_or_a_program_without_x_holds_the_agent() {
    let cluster = Cluster::watched("");
    cluster.mark(1, "cluster_dilatation_status", "");
    fs::set_permissions(cluster.bin(2, "cm_agent"), fs::Permissions::from_mode(0o644)).unwrap();
    cluster.start();
    until("node 1 in the log", || {
        cluster
            .log(1)
            .contains("cluster_manual_start=0, agent_config_file_r=1, agent_binary_file_x=1, config_change_flag=1")
    });
    until("node 2 in the log", || cluster.log(2).contains("agent_config_file_r=1, agent_binary_file_x=0"));
    until("node 3", || !cluster.running(3, "cm_agent").is_empty());
    assert!(cluster.running(1, "cm_agent").is_empty() && cluster.running(2, "cm_agent").is_empty());
}

#[test]
fn a_monitor_is_alone_needs_its_lock_and_enough_files() {
    let mut cluster = Cluster::watched("");
    assert_eq!(cluster.command(1, "om_monitor").status().unwrap().code(), Some(1));
    cluster.unmark(1, "om_monitor.lock");
    assert!(cluster.monitors.remove(0).wait().unwrap().success());
    cluster.configure(1, "nofile_min=99999999999");
    let log = cluster.node(1).join("log/cm/om_monitor");
    assert_eq!(cluster.command(1, "om_monitor").arg("-L").arg(log).status().unwrap().code(), Some(1));
    assert!(cluster.log(1).contains(" less than 99999999999, monitor start failed."), "{}", cluster.log(1));
}

#[test]
fn cm_ctl_needs_its_environment() {
    let cluster = Cluster::new("");
    let code = |variable: &str| cluster.command(1, "cm_ctl").arg("view").env_remove(variable).output().unwrap();
    let output = code("LD_LIBRARY_PATH");
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8(output.stderr).unwrap().contains("libcm.so: cannot open shared object file"));
    assert_eq!(code("GAUSSHOME").status.code(), Some(1));
    if rustix::process::getuid().is_root() {
        assert_eq!(code("STANDIN_ALLOW_ROOT").status.code(), Some(1));
    }
    assert!(cluster.ctl(1, &["view"]).status.success());
    cluster.configure(1, "view=0");
    assert_eq!(cluster.ctl(1, &["view"]).status.code(), Some(1));
    cluster.configure(1, "static_config=0");
    assert_eq!(cluster.check(1), 255);
    cluster.configure(1, "static_config=1");
    cluster.configure(1, "misspelt=1");
    assert_eq!(cluster.check(1), 255);
}
