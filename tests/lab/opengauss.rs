//! openGauss nodes in a lab: the stand-in under the names of the real programs, the files of a real node around it.
//!
//! What the programs do is the stand-in's business (`tests/standin`); this lays out what they find and starts them
//! the way cron does.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::Signal;

use super::process::Process;
use super::{Lab, Node, wait};

/// The names that the stand-in goes by.
pub(crate) const PROGRAMS: [&str; 5] = ["om_monitor", "cm_agent", "cm_server", "gaussdb", "cm_ctl"];

/// Whose presence holds a node down, under [`Node::base`].
pub(crate) const MARKER: &str = "app/bin/cluster_manual_start";

/// What the marker holds.
const HELD: &str = "0\n1\n2\n";

const CONFIG: &str = "app/bin/standin.conf";

/// Where the stand-ins of a node listen for each other.
const AGENT_PORT: u16 = 15_300;

/// A cluster laid out on the nodes of a lab.
#[derive(Debug)]
pub(crate) struct Cluster<'lab> {
    lab: &'lab Lab,
}

/// Lays out a stopped cluster: the marker is there, nothing runs.
#[track_caller]
pub(crate) fn install(lab: &Lab) -> Cluster<'_> {
    let standin = standin();
    let cluster = Cluster { lab };
    let addresses: Vec<_> = lab.nodes().iter().map(|node| node.address().ip().to_string()).collect();
    for (index, node) in lab.nodes().iter().enumerate() {
        for dir in ["app/bin", "app/lib", "app/share", "data/cm/cm_agent", "data/cm/cm_server", "data/dn1/pg_tblspc"] {
            node.mkdir(dir);
        }
        // CM calls the disk damaged where one of these is empty.
        for (dir, file) in [("base", "1"), ("global", "pg_control"), ("pg_xlog", "000000010000000000000001")] {
            node.mkdir(Path::new("data/dn1").join(dir));
            node.write(Path::new("data/dn1").join(dir).join(file), "");
        }
        node.mkdir("log/cm/om_monitor");
        node.mkdir("log/cm/cm_agent");
        for program in PROGRAMS {
            node.copy(&standin, Path::new("app/bin").join(program));
            node.chmod(Path::new("app/bin").join(program), 0o755);
        }
        let base = node.base().display();
        // The stand-in puts a node's number here: without namespaces the paths differ from node to node.
        let any = if lab.is_private() { node.base().to_owned() } else { lab.dir().join("n{node}") };
        let any = any.display();
        let config = format!(
            "node={}\nnodes={}\nagent_port={AGENT_PORT}\ncm_data={any}/data/cm\ndn={any}/data/dn1\ngausslog={base}/log\n",
            index + 1,
            addresses.join(","),
        );
        node.write(CONFIG, config);
        node.write("data/cm/cm_agent/cm_agent.conf", format!("log_dir = '{base}/log/cm/cm_agent'\n"));
        node.write(MARKER, HELD);
        let environment = environment(node);
        node.write("env", &environment);
        node.write("home/.bashrc", &environment);
        node.crontab(&format!(
            "*/1 * * * * source /etc/profile;(if [ -f ~/.profile ];then source ~/.profile;fi);source ~/.bashrc;\
             nohup om_monitor -L {base}/log/cm/om_monitor >>/dev/null 2>&1 &\n"
        ));
    }
    cluster
}

impl Cluster<'_> {
    /// Starts `om_monitor` on every node where it does not run.
    #[track_caller]
    pub(crate) fn start_monitors(&self) {
        (1..=self.lab.nodes().len()).for_each(|number| self.start_monitor(number));
    }

    /// The same, in the environment of this file.
    #[track_caller]
    pub(crate) fn start_monitors_from(&self, environment: &str) {
        (1..=self.lab.nodes().len()).for_each(|number| self.start_monitor_from(number, environment));
    }

    /// Starts `om_monitor` on one node, the way cron does.
    #[track_caller]
    pub(crate) fn start_monitor(&self, number: usize) {
        self.start_monitor_from(number, "home/.bashrc");
    }

    #[track_caller]
    fn start_monitor_from(&self, number: usize, environment: &str) {
        if !self.running(number, "om_monitor").is_empty() {
            return;
        }
        let node = self.lab.node(number);
        let base = node.base().display();
        let output = node.sh_as_user(&format!(
            ". {base}/{environment}; cd {base}/home; \
             nohup setsid om_monitor -L {base}/log/cm/om_monitor >>/dev/null 2>&1 </dev/null &"
        ));
        assert!(output.status.success(), "{}: om_monitor: {output:?}", node.name());
        wait::until("om_monitor runs", || !self.running(number, "om_monitor").is_empty());
    }

    /// Kills a program on one node.
    #[track_caller]
    pub(crate) fn kill(&self, number: usize, program: &str) {
        for process in self.running(number, program) {
            process.kill(Signal::KILL);
            wait::until("it is dead", || Process::read(process.pid).is_none_or(|process| process.state == 'Z'));
        }
    }

    /// Kills the datanode of a node, and nothing else.
    #[track_caller]
    pub(crate) fn kill_datanode(&self, number: usize) {
        for process in self.running(number, "gaussdb") {
            if !process.cmdline.iter().any(|argument| argument == "--fenced") {
                process.kill(Signal::KILL);
            }
        }
    }

    /// Removes the marker on every node, as a start does, without waiting for anything.
    pub(crate) fn release(&self) {
        self.lab.nodes().iter().for_each(|node| node.remove(MARKER));
    }

    /// Stops the cluster: the marker on every node, and nothing of it but `om_monitor` runs any more.
    #[track_caller]
    pub(crate) fn stop(&self) {
        for node in self.lab.nodes() {
            node.write(MARKER, HELD);
        }
        for number in 1..=self.lab.nodes().len() {
            wait::until("the cluster is down", || {
                ["cm_agent", "cm_server", "gaussdb"].iter().all(|program| self.running(number, program).is_empty())
            });
        }
    }

    /// The processes of a program on a node; zombies do not count.
    #[track_caller]
    pub(crate) fn running(&self, number: usize, program: &str) -> Vec<Process> {
        self.lab.node(number).running_exe(Path::new("app/bin").join(program))
    }

    /// Makes a node misbehave: sets a key of its `standin.conf`.
    #[track_caller]
    pub(crate) fn fault(&self, number: usize, key: &str, value: &str) {
        self.configure(number, key, &format!("{key}={value}\n"));
    }

    /// Makes it behave again.
    #[track_caller]
    pub(crate) fn heal(&self, number: usize, key: &str) {
        self.configure(number, key, "");
    }

    #[track_caller]
    fn configure(&self, number: usize, key: &str, line: &str) {
        let node = self.lab.node(number);
        let text = node.text(CONFIG);
        let others = text.lines().filter(|line| line.split('=').next() != Some(key));
        let others = others.fold(String::new(), |text, line| text + line + "\n");
        // Renamed into place: the stand-in may be reading it.
        node.write("app/bin/standin.conf.new", others + line);
        fs::rename(node.outside("app/bin/standin.conf.new"), node.outside(CONFIG)).expect("both are ours");
    }

    /// Node by node what runs and whether the marker is there: what a failed test wants to show.
    pub(crate) fn census(&self) -> String {
        let mut text = String::new();
        for (number, node) in (1..).zip(self.lab.nodes()) {
            let running = PROGRAMS.iter().filter(|program| !self.running(number, program).is_empty());
            let running: Vec<_> = running.copied().collect();
            let marker = if node.exists(MARKER) { " (marker)" } else { "" };
            text = text + node.name() + ": " + &running.join(" ") + marker + "\n";
        }
        text
    }
}

/// What the cluster user's shell must know on a node.
fn environment(node: &Node) -> String {
    let (home, base) = (node.gausshome(), node.base().display());
    let home = home.display();
    format!(
        "export GAUSSHOME={home}\nexport GAUSSLOG={base}/log\nexport PGDATA={base}/data/dn1\n\
         export PATH={home}/bin:$PATH\nexport LD_LIBRARY_PATH={home}/lib:$LD_LIBRARY_PATH\n"
    )
}

/// The stand-in's executable.
fn standin() -> PathBuf {
    program("standin")
}

/// A program of this workspace. Under cargo it is built first: `cargo test --test it` builds no other program than gsctl. The same is
/// asked for as in the Makefile, so that nothing is compiled for other features.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let own = env::current_exe().expect("this program has a path");
    let beside = own.parent().expect("it lies in a directory");
    let test = beside.ends_with("deps");
    let profile = beside.ancestors().nth(usize::from(test)).expect("target/PROFILE");
    if let Some(cargo) = env::var_os("CARGO") {
        BUILT.get_or_init(|| {
            let mut command = Command::new(cargo);
            command.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(env!("CARGO_MANIFEST_DIR"));
            if test {
                command.args(["--test", "it"]);
            }
            let named = profile.file_name().filter(|&name| name != "debug");
            command.arg("--profile").arg(named.unwrap_or("dev".as_ref()));
            // What cargo tells a test of its package. Build scripts that read it (ring's) would run anew for this call, and again
            // for the next one from a shell, with all that is built on them.
            let is_of_package = |name: &std::ffi::OsStr| {
                let name = name.to_string_lossy();
                name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
            };
            for (name, _) in env::vars_os().filter(|(name, _)| is_of_package(name)) {
                command.env_remove(name);
            }
            assert!(command.status().expect("cargo starts").success(), "the programs of the lab do not build");
        });
    }
    let found = profile.join(name);
    assert!(found.is_file(), "{} is not built: cargo build --bins", found.display());
    found
}
