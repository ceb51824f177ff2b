//! The openGauss scripts on fake nodes: real files, real processes with the right executables, every shell a node may have.
//!
//! No SSH here. `cm_ctl` is a shell script that prints what the real one printed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use gsctl::testing::{Facts, parse_facts, quote};

/// Scripts of `playbooks/`, one behind the other.
macro_rules! scripts {
    ($($name:literal),*) => { concat!($(include_str!(concat!("../../playbooks/", $name))),*) };
}

/// What the playbooks send: what is shared first.
pub(crate) const NODE: &str = scripts!(
    "opengauss/lib.sh",
    "opengauss/processes.sh",
    "opengauss/view.sh",
    "opengauss/agent.sh",
    "opengauss/logs.sh",
    "opengauss/hints.sh",
    "opengauss/node.sh"
);
/// The same before a start.
pub(crate) const BEFORE_START: &str = scripts!(
    "opengauss/lib.sh",
    "opengauss/processes.sh",
    "opengauss/view.sh",
    "opengauss/agent.sh",
    "opengauss/logs.sh",
    "opengauss/hints.sh",
    "opengauss/obstacles.sh",
    "opengauss/node.sh"
);
const CLUSTER: &str = scripts!("opengauss/lib.sh", "opengauss/query.sh", "opengauss/cluster.sh");
pub(crate) const EVIDENCE: &str = scripts!(
    "shared/logs.sh",
    "opengauss/lib.sh",
    "opengauss/processes.sh",
    "opengauss/logs.sh",
    "opengauss/send.sh",
    "opengauss/evidence.sh"
);

/// Shells that a node may have as /bin/sh.
pub(crate) const SHELLS: [&[&str]; 4] = [&["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]];

/// The first two nodes as the real `cm_ctl view` printed them, and a third that has neither `cm_server` nor datanode.
const VIEW: &str = "\
NodeHeader:
version:301
time:1795250794
nodeCount:3
node:1
azName:AZ1
azPriority:1
node :1
nodeName:cmnode1
ssh channel :
sshChannel 1:127.0.3.1
cmDataPath :@DATA@
cmServer 1:127.0.3.1
port :15300
cmServerLocalHAIP 1:127.0.3.1
cmServerLocalHAPort :15301
cmServerPeerHAIP 1:127.0.3.1
cmServerPeerHAPort :15401
cmAgentIP :127.0.3.1
datanodeCount :1
datanode 1:
datanodeLocalDataPath :/data/dn1
datanodeXlogPath :
datanodeListenIP 1:127.0.3.1
datanodePort :15400
dn_replication_num: 3
datanodePeer0DataPath :/data/dn1
datanodePeer0HAIP 1:127.0.3.2
azName:AZ1
azPriority:1
node :2
nodeName:cmnode2
ssh channel :
sshChannel 1:127.0.3.2
cmDataPath :@DATA@
cmServer 1:127.0.3.2
datanodeCount :2
azName:AZ1
azPriority:1
node :3
nodeName:cmnode3
ssh channel :
sshChannel 1:127.0.3.3
sshChannel 2:fe80::3
cmDataPath :@DATA@
cmAgentIP :127.0.3.3
datanodeCount :0
";

#[track_caller]
fn need(program: &str) {
    let found =
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|d| d.join(program).exists()));
    assert!(found, "`{program}` is missing; install it: apt-get install -y busybox dash bash util-linux");
}

/// A GAUSSHOME with programs that are really `sleep`, and a home whose profile can be made to misbehave.
pub(crate) struct Node {
    dir: tempfile::TempDir,
    running: Vec<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Node {
    pub(crate) fn new() -> Self {
        let node = Self { dir: tempfile::Builder::new().prefix("gs node's ").tempdir().unwrap(), running: Vec::new() };
        fs::set_permissions(node.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for dir in ["app/bin", "home", "cm/cm_agent", "log/cm/om_monitor"] {
            fs::create_dir_all(node.path(dir)).unwrap();
        }
        for name in ["om_monitor", "cm_agent", "cm_server", "gaussdb"] {
            // One that ends by itself should the test die.
            node.program(name, "/bin/sleep");
        }
        node.file("cm/cm_agent/cm_agent.conf", "log_dir = x\n");
        node.cm_ctl(&format!(
            "case $1 in view) cat '{}' ;; check) echo 0 >\"$GAUSSHOME/bin/result\"; exit 3 ;; esac",
            node.file("view", &VIEW.replace("@DATA@", &node.name("cm"))).replace('\'', "'\\''")
        ));
        node
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.name(name)
    }

    pub(crate) fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.path("app/bin").join(name)
    }

    pub(crate) fn program(&self, name: &str, from: &str) {
        fs::copy(from, self.bin(name)).unwrap();
    }

    pub(crate) fn cm_ctl(&self, body: &str) {
        self.file("app/bin/cm_ctl", &format!("#!/bin/sh\n{body}\n"));
        self.mode("app/bin/cm_ctl", 0o755);
    }

    pub(crate) fn start(&mut self, name: &str) -> u32 {
        let mut command = Command::new(self.bin(name));
        command.arg("300");
        self.start_command(command)
    }

    /// Started with other arguments than `sleep` takes: a copy of a shell, waiting on its input.
    pub(crate) fn start_with(&mut self, name: &str, args: &[&str]) -> u32 {
        self.program(name, "/bin/dash");
        let mut command = Command::new(self.bin(name));
        command.args(["-c", "read -r _; :", name]).args(args).stdin(Stdio::piped());
        self.start_command(command)
    }

    pub(crate) fn start_command(&mut self, mut command: Command) -> u32 {
        loop {
            // Another test's fork may still hold the file open for writing.
            match command.spawn() {
                Ok(child) => {
                    let pid = child.id();
                    self.running.push(child);
                    // Until exec is done the process still looks like this test.
                    std::thread::sleep(Duration::from_millis(20));
                    return pid;
                }
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => panic!("{command:?}: {e}"),
            }
        }
    }

    /// Runs a script as gsctl would, with these shell variables set before it.
    #[track_caller]
    pub(crate) fn run(&self, shell: &[&str], script: &str, vars: &[(&str, &str)]) -> Output {
        self.run_as(shell, script, vars, &[])
    }

    #[track_caller]
    pub(crate) fn run_as(&self, shell: &[&str], script: &str, vars: &[(&str, &str)], prefix: &[&str]) -> Output {
        need(shell[0]);
        let home = self.name("app");
        let mut vars = vars.to_vec();
        vars.insert(0, ("gausshome", &home));
        let text =
            vars.iter().map(|(name, value)| [name, "=", &quote(value), "\n"].concat()).collect::<String>() + script;
        let argv: Vec<&str> = prefix.iter().chain(shell).copied().collect();
        let output = Command::new(argv[0])
            .args(&argv[1..])
            .arg("-c")
            .arg(text)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.path("home"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
        assert_eq!(output.status.code(), Some(0), "{shell:?}");
        output
    }

    #[track_caller]
    pub(crate) fn look(&self, shell: &[&str], vars: &[(&str, &str)]) -> Facts {
        parse_facts(&self.run(shell, NODE, vars).stdout)
    }
}

#[track_caller]
fn has(shell: &[&str], facts: &Facts, want: &[(&str, &str)]) {
    for (key, value) in want {
        assert_eq!(facts.get(*key).map(String::as_str), Some(*value), "{shell:?} {key}: {facts:#?}");
    }
}

#[test]
fn the_four_states() {
    for shell in SHELLS {
        let mut node = Node::new();
        node.file("app/bin/cluster_manual_start", "0\n1\n2\n");
        node.file("app/bin/instance_manual_start_6001", "");
        node.file("app/bin/instance_manual_start_6 2", "");
        let at = [("address", "127.0.3.1")];
        has(
            shell,
            &node.look(shell, &at),
            &[
                ("installed", "yes"),
                ("gausshome_dir", "ok"),
                ("marker", "present"),
                ("instance_markers", "2"),
                ("paused", "no"),
                ("starting_flag", "no"),
                ("dilatation", "no"),
                ("agent_binary", "ok"),
                ("agent_config", "ok"),
                ("om_monitor", "none"),
                ("cm_agent", "none"),
                ("cm_server", "stopped"),
                ("gaussdb", "stopped"),
                ("cm_node", "1"),
                ("expect_cm_server", "yes"),
                ("expect_gaussdb", "yes"),
                ("profile", "ok"),
                ("nofile_source", "session"),
                ("state", "stopped"),
            ],
        );
        for name in ["om_monitor", "cm_agent", "cm_server", "gaussdb"] {
            node.start(name);
        }
        let all =
            [("om_monitor", "running"), ("cm_agent", "running"), ("cm_server", "running"), ("gaussdb", "running")];
        for light in ["0", "1"] {
            let facts = node.look(shell, &[("address", "127.0.3.1"), ("light", light)]);
            has(shell, &facts, &all);
            has(shell, &facts, &[("state", "stopping"), ("datanodes_running", "1")]);
        }
        for name in ["cluster_manual_start", "instance_manual_start_6001", "instance_manual_start_6 2"] {
            fs::remove_file(node.bin(name)).unwrap();
        }
        for name in ["cluster_manual_pause", "cluster_manual_starting", "cluster_dilatation_status"] {
            node.file(&format!("app/bin/{name}"), "");
        }
        has(
            shell,
            &node.look(shell, &at),
            &[
                ("state", "running"),
                ("instance_markers", "0"),
                ("paused", "yes"),
                ("starting_flag", "yes"),
                ("dilatation", "yes"),
                ("nofile_source", "om_monitor"),
            ],
        );
        let agent = &mut node.running[1];
        agent.kill().unwrap();
        // A zombie, as nobody has asked for its status yet.
        std::thread::sleep(Duration::from_millis(50));
        has(shell, &node.look(shell, &at), &[("state", "starting"), ("cm_agent", "none")]);
    }
}

#[test]
fn what_a_process_must_be_to_count() {
    for shell in SHELLS {
        let mut node = Node::new();
        let light = [("light", "1")];
        // Same name, another place.
        let other = node.name("cm_agent");
        fs::copy("/bin/sleep", &other).unwrap();
        let mut elsewhere = Command::new(&other);
        elsewhere.arg("300");
        node.start_command(elsewhere);
        // The fenced master is no datanode, though its executable is.
        node.start_with("gaussdb", &["--fenced", "-k", "x"]);
        has(
            shell,
            &node.look(shell, &light),
            &[("cm_agent", "none"), ("gaussdb", "missing"), ("datanodes_running", "0")],
        );
        node.start_with("cm_server", &["x"]);
        has(shell, &node.look(shell, &light), &[("cm_server", "running")]);
        // An upgrade replaced the file below a running process.
        node.start("cm_agent");
        fs::remove_file(node.bin("cm_agent")).unwrap();
        has(shell, &node.look(shell, &light), &[("cm_agent", "running"), ("agent_binary", "missing")]);
        // GAUSSHOME as openGauss installs it: a symbolic link.
        fs::rename(node.path("app"), node.path("app_1")).unwrap();
        std::os::unix::fs::symlink("app_1", node.path("app")).unwrap();
        has(shell, &node.look(shell, &light), &[("cm_server", "running"), ("cm_agent", "running")]);
    }
}

/// Waits until setpriv has become this program.
#[track_caller]
fn until_running(program: &Path) {
    crate::lab::wait::until("it runs", || {
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        processes.into_iter().any(|process| fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == program))
    });
}

#[test]
fn somebody_elses_processes_do_not_count() {
    // Only root can start them.
    crate::lab::need_root();
    need("setpriv");
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    for shell in SHELLS {
        let mut node = Node::new();
        let mut command = Command::new(nobody[0]);
        command.args(&nobody[1..]).arg(node.bin("cm_agent")).arg("300");
        node.start_command(command);
        node.start("om_monitor");
        until_running(&node.bin("cm_agent"));
        let light = [("light", "1")];
        has(shell, &node.look(shell, &light), &[("om_monitor", "running"), ("cm_agent", "none")]);
        let theirs = parse_facts(&node.run_as(shell, NODE, &light, &nobody).stdout);
        has(shell, &theirs, &[("om_monitor", "none"), ("cm_agent", "running"), ("uid", "65534")]);
        // What this user may not look at is not called absent.
        node.mode("cm/cm_agent", 0o700);
        let full = parse_facts(&node.run_as(shell, NODE, &[("node", "1")], &nobody).stdout);
        has(shell, &full, &[("agent_config", "unreadable")]);
        node.mode("app", 0o700);
        let full = parse_facts(&node.run_as(shell, NODE, &[], &nobody).stdout);
        has(shell, &full, &[("installed", "no"), ("gausshome_dir", "denied"), ("marker", "unknown")]);
        // An executable that may not be read hides itself from its own user.
        node.mode("app", 0o755);
        node.mode("app/bin/cm_server", 0o711);
        let mut command = Command::new(nobody[0]);
        command.args(&nobody[1..]).arg(node.bin("cm_server")).arg("300");
        node.start_command(command);
        until_running(&node.bin("cm_server"));
        let theirs = parse_facts(&node.run_as(shell, NODE, &light, &nobody).stdout);
        has(shell, &theirs, &[("cm_server", "running"), ("cm_agent", "running")]);
    }
}

#[test]
fn which_node_this_is() {
    for shell in SHELLS {
        let node = Node::new();
        let third = [("cm_server", "none"), ("gaussdb", "none"), ("cm_node", "3")];
        has(shell, &node.look(shell, &[("node", "3")]), &third);
        has(shell, &node.look(shell, &[("address", "127.0.3.3")]), &third);
        has(shell, &node.look(shell, &[("address", "fe80::3")]), &third);
        has(shell, &node.look(shell, &[("address", "cmnode3")]), &third);
        has(shell, &node.look(shell, &[("SSH_CONNECTION", "127.0.0.1 5000 127.0.3.3 22")]), &third);
        has(
            shell,
            &node.look(shell, &[("node", "2"), ("address", "127.0.3.3")]),
            &[("cm_node", "2"), ("expect_datanodes", "2")],
        );
        has(
            shell,
            &node.look(shell, &[]),
            &[
                ("cm_node", "unknown"),
                ("expect_cm_server", "unknown"),
                ("cm_server", "missing"),
                ("agent_config", "unknown"),
            ],
        );
        let passed = [("light", "1"), ("expect_cm_server", "no"), ("expect_gaussdb", "no")];
        has(shell, &node.look(shell, &passed), &[("cm_server", "none"), ("gaussdb", "none")]);
        // Where all nodes are alike, it does not matter which this is.
        let alike: String =
            VIEW.split_inclusive("node :3").next().unwrap().replace("azName:AZ1\nazPriority:1\nnode :3", "");
        node.file("view", &alike.replace("@DATA@", "/nowhere"));
        has(shell, &node.look(shell, &[]), &[("expect_cm_server", "yes"), ("expect_gaussdb", "yes")]);
        node.cm_ctl("echo 'cm_ctl: no static config'; exit 255");
        has(
            shell,
            &node.look(shell, &[("cm_data", &node.name("cm"))]),
            &[("cm_node", "unknown"), ("agent_config", "ok")],
        );
    }
}

#[test]
fn one_of_two_datanodes_is_not_all() {
    let shell = SHELLS[0];
    let mut node = Node::new();
    node.start("gaussdb");
    let at = [("node", "2")];
    has(shell, &node.look(shell, &at), &[("gaussdb", "missing"), ("datanodes_running", "1")]);
    node.start("gaussdb");
    has(shell, &node.look(shell, &at), &[("gaussdb", "running"), ("datanodes_running", "2")]);
}

#[test]
fn not_installed_and_half_installed() {
    for shell in SHELLS {
        let node = Node::new();
        let at = [("node", "1"), ("nofile_min", "1")];
        node.mode("app/bin/cm_agent", 0o644);
        fs::remove_file(node.path("cm/cm_agent/cm_agent.conf")).unwrap();
        has(
            shell,
            &node.look(shell, &at),
            &[
                ("agent_binary", "not-executable"),
                ("agent_config", "missing"),
                ("nofile_ok", "yes"),
                ("state", "starting"),
            ],
        );
        fs::remove_dir_all(node.path("app/bin")).unwrap();
        node.file("home/.bashrc", "export GAUSSHOME=/opt/other\n");
        has(
            shell,
            &node.look(shell, &[("nofile_min", "99999999999")]),
            &[
                ("installed", "no"),
                ("gausshome_dir", "missing"),
                ("env_gausshome", "/opt/other"),
                ("agent_binary", "missing"),
                ("nofile_ok", "no"),
                ("state", "not-installed"),
            ],
        );
    }
}

#[test]
fn no_profile_can_spoil_it() {
    for shell in SHELLS {
        let node = Node::new();
        let at = [("node", "1"), ("env_file", &node.name("env"))];
        node.file("env", "echo cm_agent=running SUCCESS\nsource /dev/null\nexport GAUSSLOG=/from/env\n");
        // Noisy, reads, leaves a child that keeps every descriptor.
        let left = node.name("left");
        node.file(
            "home/.bashrc",
            &format!(
                "echo state=running; echo SUCCESS >&2; read -r x; cat; sleep 30 & echo $! > {}\nset -eu\n",
                quote(&left)
            ),
        );
        let begun = Instant::now();
        has(
            shell,
            &node.look(shell, &at),
            &[("state", "starting"), ("cm_agent", "none"), ("cm_node", "1"), ("profile", "ok")],
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "held up by what the profile left running");
        Command::new("kill").arg(fs::read_to_string(left).unwrap().trim()).status().unwrap();
        for broken in ["exit 3\n", "exec true\n"] {
            node.file("home/.bashrc", broken);
            has(shell, &node.look(shell, &at), &[("cm_node", "1"), ("profile", "broken")]);
        }
    }
}

#[test]
fn a_profile_that_hangs_is_left_out() {
    let shell = SHELLS[0];
    let node = Node::new();
    node.file("home/.bashrc", "sleep 300\n");
    has(shell, &node.look(shell, &[("node", "1")]), &[("cm_node", "1"), ("profile", "broken")]);
}

#[test]
fn deaths_of_the_agent_are_counted() {
    let die =
        |status: &str| format!("2026 tid=1  LOG: child process cm_agent have die! pid is 9, exit status is {status}\n");
    let held = "2026 tid=1  LOG: The CM Agent startup check is complete: cluster_manual_start=1, start_count=0.\n";
    let tried = "2026 tid=1  LOG: The CM Agent startup check is complete: cluster_manual_start=0, start_count=0.\n";
    for shell in SHELLS {
        let mut node = Node::new();
        let light = [("light", "1")];
        let log = "log/cm/om_monitor/om_monitor-2026-current.log";
        node.file(log, &die("9").repeat(3));
        has(shell, &node.look(shell, &light), &[("agent_deaths", "0"), ("om_monitor", "none")]);
        let dir = node.name("log/cm/om_monitor");
        node.start_with("om_monitor", &["-L", &dir]);
        has(shell, &node.look(shell, &light), &[("agent_deaths", "3")]);
        node.file(log, &[&die("9").repeat(5), held, tried, &die("256"), tried, &die("0"), &die("11")].concat());
        has(shell, &node.look(shell, &light), &[("agent_deaths", "2")]);
        // One that runs for seconds only has proved nothing.
        node.start("cm_agent");
        has(shell, &node.look(shell, &light), &[("agent_deaths", "2"), ("cm_agent", "running"), ("agent_crash", "")]);
        // Three are a loop, whether one runs just now or not; the full look counts them all.
        node.file(log, &[held, &[&*die("11"), tried].concat().repeat(70), &die("768")].concat());
        let crash = "cm_agent died 71 times, last exit status 3";
        has(
            shell,
            &node.look(shell, &[("node", "1")]),
            &[("cm_agent", "crashing"), ("agent_crash", crash), ("state", "starting")],
        );
        has(shell, &node.look(shell, &light), &[("cm_agent", "crashing")]);
        fs::remove_file(node.path(log)).unwrap();
        has(shell, &node.look(shell, &light), &[("agent_deaths", "0")]);
    }
}

#[test]
fn cron_lines() {
    for shell in SHELLS {
        let node = Node::new();
        fs::create_dir(node.path("tools")).unwrap();
        let path = format!("{}:/usr/bin:/bin", node.name("tools"));
        for (body, want) in [
            ("echo '*/1 * * * * source /etc/profile;nohup om_monitor -L x &'", "yes"),
            ("echo '  # */1 * * * * om_monitor'; echo '* * * * * true'", "no"),
            ("echo 'no crontab for omm' >&2; exit 1", "no"),
            ("echo 'you are not allowed to use this program' >&2; exit 1", "unknown"),
        ] {
            node.file("tools/crontab", &format!("#!/bin/sh\n{body}\n"));
            node.mode("tools/crontab", 0o755);
            has(shell, &node.look(shell, &[("PATH", &path)]), &[("cron", want)]);
        }
    }
}

/// Everything that `cm_ctl` prints for a healthy cluster, `-Cvipd`; without addresses, ports and paths it is `-Cv`.
const LONG: &str = "\
[  CMServer State   ]

node       node_ip         instance                            state
----------------------------------------------------------------------
1  cmnode1 127.0.3.1        1    /data/cm/cm_server Primary
2  cmnode2 127.0.3.2        2    /data/cm/cm_server Standby

[   Cluster State   ]

cluster_state   : Normal
redistributing  : No
balanced        : Yes
current_az      : AZ_ALL

[  Datanode State   ]

node       node_ip         instance             state            | node       node_ip         instance             state
-----------------------------------------------------------------------------------------------------------------------------
1  cmnode1 127.0.3.1        6001 15400  /data/dn1 P Primary Normal | 2  cmnode2 127.0.3.2        6002 15410  /data/dn1 S Standby Normal
";

const DEGRADED: &str = "\
[  CMServer State   ]

node       instance state
-------------------------
1  Standby 1        Down
2  cmnode2 2        Primary

[ Defined Resource State ]

[   Cluster State   ]

cluster_state   : Degraded
redistributing  : No
balanced        : No
current_az      : AZ_ALL
pausing         : Yes

[  Datanode State   ]

node       instance state            | node
-------------------------------------------
1  Standby 6001     P Down    Unknown | 2  cmnode2 6002     S Standby Need repair(WAL segment removed) | 3  cmnode3 6003     S Standby Normal | 4  cmnode4 6004     S Primary Normal | 5  cmnode5 6005     C Cascade Standby Normal | 6  cmnode6 6006     S Standby Normal
";

const NO_SERVER: &str = "\
[  CMServer State   ]

node       instance state
-------------------------
1  cmnode1 1        Standby
2  cmnode2 2        Standby

cm_ctl: can't connect to cm_server.
Maybe cm_server is not running, or timeout expired. Please try again.
";

#[test]
fn the_cluster_in_all_its_forms() {
    for shell in SHELLS {
        let node = Node::new();
        let ask = |body: &str| {
            let text = node.file("query", body.split('\u{1}').next().unwrap()).replace('\'', "'\\''");
            let rc = body.split('\u{1}').nth(1).unwrap_or("0");
            node.cm_ctl(&format!(
                "[ \"$*\" = 'query -Cv' ] || exit 9\n[ -n \"$GAUSSHOME\" ] || exit 1\ncat '{text}'; exit {rc}"
            ));
            parse_facts(&node.run(shell, CLUSTER, &[]).stdout)
        };
        has(
            shell,
            &ask(LONG),
            &[
                ("cluster_state", "Normal"),
                ("cluster_rc", "0"),
                ("balanced", "Yes"),
                ("pausing", "No"),
                ("cm_primary", "1"),
                ("datanodes", "1 Primary Normal,1 Standby Normal"),
                ("cm_server_2", "Standby"),
                ("datanode_2", "Standby Normal"),
            ],
        );
        has(
            shell,
            &ask(DEGRADED),
            &[
                ("cluster_state", "Degraded"),
                ("balanced", "No"),
                ("pausing", "Yes"),
                ("cm_primary", "2"),
                ("cm_server_1", "Down"),
                (
                    "datanodes",
                    "1 Primary Normal,1 Down Unknown,1 Standby Need repair(WAL segment removed),2 Standby Normal,1 Cascade Standby Normal",
                ),
            ],
        );
        has(
            shell,
            &ask(&format!("{NO_SERVER}\u{1}255")),
            &[
                ("cluster_state", "electing"),
                ("cluster_rc", "255"),
                ("cluster_error", "can't connect to cm_server."),
                ("cm_primary", ""),
            ],
        );
        has(
            shell,
            &ask("cluster_state             : Unavailable\nbalanced                  : No\n"),
            &[("cluster_state", "Unavailable")],
        );
        has(
            shell,
            &ask("cm_ctl: current user is the root user (uid = 0), exit.\n\u{1}1"),
            &[
                ("cluster_state", "unknown"),
                ("cluster_rc", "1"),
                ("cluster_error", "current user is the root user (uid = 0), exit."),
            ],
        );
        fs::remove_file(node.bin("cm_ctl")).unwrap();
        let gone = parse_facts(&node.run(shell, CLUSTER, &[]).stdout);
        has(shell, &gone, &[("cluster_state", "unknown"), ("cluster_rc", "127")]);
    }
}

/// What a node that was not told where openGauss is finds by itself.
#[test]
fn gausshome_is_found_in_the_login_environment() {
    for shell in SHELLS {
        let node = Node::new();
        let home = node.name("app");
        let look = |node: &Node| node.look(shell, &[("gausshome", ""), ("node", "1")]);
        let export = format!("export GAUSSHOME={}\n", quote(&home));
        let found = [("found_gausshome", &*home), ("installed", "yes"), ("cm_node", "1")];
        node.file("home/.bashrc", &export);
        has(shell, &look(&node), &found);
        // A separate environment file that the profile names, or only the cron line.
        let file = node.file("env", &export);
        node.file("home/.bashrc", &format!("export MPPDB_ENV_SEPARATE_PATH={}\n", quote(&file)));
        has(shell, &look(&node), &[found[0], ("found_env_file", &file)]);
        fs::remove_file(node.path("home/.bashrc")).unwrap();
        fs::create_dir(node.path("tools")).unwrap();
        let plain = tempfile::tempdir().unwrap();
        let environment = plain.path().join("env");
        fs::write(&environment, &export).unwrap();
        node.file(
            "tools/crontab",
            &format!(
                "#!/bin/sh\necho '* * * * * source /etc/profile;source ~/.bashrc;source {};nohup om_monitor -L x &'\n",
                environment.display()
            ),
        );
        node.mode("tools/crontab", 0o755);
        let path = format!("{}:/usr/bin:/bin", node.name("tools"));
        has(shell, &node.look(shell, &[("gausshome", ""), ("PATH", &path)]), &[found[0]]);
        node.file("home/.profile", &export);
        has(shell, &look(&node), &found);
        fs::remove_file(node.path("home/.profile")).unwrap();
        // The cluster's own look finds the same.
        node.file("home/.bashrc", &export);
        node.cm_ctl("[ -n \"$GAUSSHOME\" ] && echo 'cluster_state   : Normal'");
        let cluster = parse_facts(&node.run(shell, CLUSTER, &[("gausshome", "")]).stdout);
        has(shell, &cluster, &[("cluster_state", "Normal")]);
        // What was said is taken, and a wrong one is named beside the right one.
        let wrong = node.look(shell, &[("gausshome", "/nowhere"), ("node", "1")]);
        has(shell, &wrong, &[("state", "not-installed"), ("env_gausshome", &home)]);
        assert!(wrong["hint_marker"].contains(&format!("GAUSSHOME={home}")), "{wrong:#?}");
        assert!(!wrong.contains_key("found_gausshome"), "{wrong:#?}");
    }
}

#[test]
fn instances_without_an_agent_are_a_state_of_their_own() {
    for shell in SHELLS {
        let mut node = Node::new();
        let at = [("node", "1")];
        let marker = node.file("app/bin/cluster_manual_start", "0\n1\n2\n");
        let server = node.start("cm_server");
        let database = node.start_with("gaussdb", &["-D", "/data/dn1", "-M", "pending"]);
        let left = format!("cm_server (pid {server}), gaussdb (pid {database} in /data/dn1)");
        for light in ["0", "1"] {
            let facts = node.look(shell, &[at[0], ("light", light)]);
            has(shell, &facts, &[("state", "unmanaged"), ("marker", "present"), ("cm_server", "running")]);
            let mut names: Vec<&str> = facts["left_running"].split(", ").collect();
            names.sort_unstable();
            assert_eq!(names.join(", "), left);
            assert!(facts["hint_marker"].contains("gs_ctl stop -D"), "{facts:#?}");
        }
        // Without the marker om_monitor would look after them within a second, if it ran.
        fs::remove_file(marker).unwrap();
        has(shell, &node.look(shell, &at), &[("state", "unmanaged"), ("marker", "absent")]);
        node.start("om_monitor");
        has(shell, &node.look(shell, &at), &[("state", "starting")]);
        assert!(!node.bin("result").exists(), "cm_ctl check was run");
    }
}

#[test]
fn what_an_agent_holds_back_is_in_its_log() {
    let line = |held: &str| {
        format!(
            "2026-05-11 10:00:01.123 tid=21001 StartAndStop LOG: datanodeId=6001, {held}, g_dnBuild=0, g_ltranDown=0, g_dnStartCounts=0.\n"
        )
    };
    let nothing = "dn_manual_stop=0, g_dnDiskDamage=0, g_nicDown=0, port_conflict=0";
    for shell in SHELLS {
        let mut node = Node::new();
        node.start("om_monitor");
        node.start("cm_agent");
        fs::create_dir_all(node.path("log/cm/cm_agent")).unwrap();
        node.file("cm/cm_agent/cm_agent.conf", &format!("log_dir = {}   # where\n", node.name("log/cm/cm_agent")));
        let at = [("node", "1")];
        let log = "log/cm/cm_agent/cm_agent-2026-current.log";
        for (zero, one, word) in [
            ("g_dnDiskDamage=0", "g_dnDiskDamage=1", "Disk damaged"),
            ("dn_manual_stop=0", "dn_manual_stop=1", "Manually stopped"),
            ("port_conflict=0", "port_conflict=1", "Port conflicting"),
        ] {
            node.file(log, &[line(nothing), line(&nothing.replace(zero, one))].concat());
            let facts = node.look(shell, &at);
            has(shell, &facts, &[("gaussdb_held", word), ("gaussdb", "missing"), ("state", "running")]);
            assert!(word == "Manually stopped" || facts["hint_gaussdb"].contains(word), "{facts:#?}");
            // A light look is told where the log is.
            let directory = node.name("log/cm/cm_agent");
            has(
                shell,
                &node.look(shell, &[("light", "1"), ("found_agent_log", &directory)]),
                &[("gaussdb_held", word)],
            );
            // The newest line counts, and only what this agent said.
            node.file(log, &[line(&nothing.replace(zero, one)), line(nothing)].concat());
            has(shell, &node.look(shell, &at), &[("gaussdb_held", "")]);
            node.file(
                log,
                &[&line(&nothing.replace(zero, one)), "x StartAndStop LOG: agent start and stop thread start\n"]
                    .concat(),
            );
            has(shell, &node.look(shell, &at), &[("gaussdb_held", "")]);
        }
        node.file(log, "x LOG: g_cmsNicDown is 1, cannot start cms.\n");
        has(shell, &node.look(shell, &at), &[("cm_server_held", "Nic down")]);
        node.start("gaussdb");
        node.start("cm_server");
        node.file(log, &line(&nothing.replace("dn_manual_stop=0", "dn_manual_stop=1")));
        has(shell, &node.look(shell, &at), &[("gaussdb_held", ""), ("cm_server_held", "")]);
    }
}

#[test]
fn what_a_killed_start_left_is_told_from_one_that_goes_on() {
    for shell in SHELLS {
        let mut node = Node::new();
        let at = [("node", "1")];
        has(shell, &node.look(shell, &at), &[("starting_flag", "no"), ("starting_left", "no")]);
        let file = node.file("app/bin/cluster_manual_starting", "");
        has(shell, &node.look(shell, &at), &[("starting_flag", "yes"), ("starting_left", "yes")]);
        // Somebody's own.
        fs::write(&file, "theirs").unwrap();
        has(shell, &node.look(shell, &at), &[("starting_flag", "yes"), ("starting_left", "no")]);
        fs::write(&file, "").unwrap();
        node.program("cm_ctl", "/bin/dash");
        let mut command = Command::new(node.bin("cm_ctl"));
        command.args(["-c", "read -r _; :", "start"]).stdin(Stdio::piped());
        node.start_command(command);
        has(shell, &node.look(shell, &at), &[("starting_flag", "yes"), ("starting_left", "no")]);
    }
}

#[test]
fn a_look_that_fails_says_so() {
    for shell in SHELLS {
        let node = Node::new();
        // A PATH of the login's own that has no, or wrong, helpers does no harm.
        fs::create_dir(node.path("tools")).unwrap();
        for name in ["ls", "grep", "sed", "tr"] {
            node.file(&format!("tools/{name}"), "#!/bin/sh\nexit 0\n");
            node.mode(&format!("tools/{name}"), 0o755);
        }
        has(
            shell,
            &node.look(shell, &[("PATH", &node.name("tools"))]),
            &[("cm_node", "unknown"), ("agent_binary", "ok")],
        );
    }
}

#[test]
fn an_election_is_told_from_a_cluster_that_is_not_seen() {
    let table = |states: [&str; 3]| {
        let row = |(node, state): (usize, &&str)| format!("{0}  cmnode{0} {0}        {state}\n", node + 1);
        let rows: String = states.iter().enumerate().map(row).collect();
        format!(
            "[  CMServer State   ]\n\nnode       instance state\n-------------------------\n{rows}\ncm_ctl: can't connect to cm_server.\nMaybe cm_server is not running, or timeout expired. Please try again.\n"
        )
    };
    for shell in SHELLS {
        let node = Node::new();
        for (states, state, note) in [
            (["Standby", "Standby", "Down"], "electing", "(Down: node 3)"),
            (["Standby", "Standby", "Standby"], "electing", "no primary yet"),
            (["Standby", "Down", "Down"], "unreachable", "1 of 3"),
            (["Down", "Down", "Down"], "unreachable", "0 of 3"),
        ] {
            let text = node.file("query", &table(states)).replace('\'', "'\\''");
            node.cm_ctl(&format!("cat '{text}'; exit 255"));
            let facts = parse_facts(&node.run(shell, CLUSTER, &[]).stdout);
            has(shell, &facts, &[("cluster_state", state), ("cluster_rc", "255")]);
            assert!(facts["note_cluster_state"].contains(note), "{facts:#?}");
        }
    }
}
