//! Nodes with Oracle Grid Infrastructure in a lab: the stand-in under the names of the real programs, and what they find.
//!
//! What the programs do is the stand-in's business (`tests/standin_oracle`); this lays out a grid home and its marks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rustix::process::Signal;

use super::process::Process;
use super::{Lab, Node, opengauss, wait};

/// The daemons in the order of the chain: the stage, and its program.
pub(crate) const CHAIN: [(&str, &str); 11] = [
    ("ohasd", "ohasd.bin"),
    ("gpnpd", "gpnpd.bin"),
    ("gipcd", "gipcd.bin"),
    ("mdnsd", "mdnsd.bin"),
    ("cssdmonitor", "cssdmonitor"),
    ("cssd", "ocssd.bin"),
    ("ctssd", "octssd.bin"),
    ("asm", "oracle"),
    ("evmd", "evmd.bin"),
    ("crsd", "crsd.bin"),
    ("listeners", "tnslsnr"),
];

/// What else runs.
const BESIDE: [&str; 5] = ["oraagent.bin", "orarootagent.bin", "cssdagent", "osysmond.bin", "scriptagent.bin"];

const CONFIG: &str = "grid/bin/standin.conf";

/// Grid Infrastructure on the nodes of a lab.
#[derive(Debug)]
pub(crate) struct Grid<'lab> {
    lab: &'lab Lab,
}

/// Lays it out on every node, stopped.
#[track_caller]
pub(crate) fn install(lab: &Lab) -> Grid<'_> {
    let grid = Grid { lab };
    let standin = standin();
    for node in lab.nodes() {
        for dir in ["grid/bin", "grid/cdata", "grid/standin", "oracle", "etc/oracle"] {
            node.mkdir(dir);
        }
        let programs = CHAIN.iter().map(|(_, program)| *program).chain(BESIDE).chain(["crsctl"]);
        for program in programs {
            node.copy(&standin, Path::new("grid/bin").join(program));
            node.chmod(Path::new("grid/bin").join(program), 0o755);
        }
        let (base, name) = (node.base().display(), node.name());
        let needs_root = u8::from(lab.is_private());
        node.write(
            CONFIG,
            format!("olr_loc={base}/etc/oracle/olr.loc\noracle_base={base}/oracle\nneeds_root={needs_root}\n"),
        );
        node.write(
            "etc/oracle/olr.loc",
            format!("olrconfig_loc={base}/grid/cdata/{name}.olr\ncrs_home={base}/grid\norplus_config=FALSE\n"),
        );
        node.write(format!("grid/cdata/{name}.olr"), "OLR");
        node.write("grid/crs/install/crsconfig_params", format!("SILENT=false\nORACLE_BASE={base}/oracle\n"));
        for (mark, word) in [("ohasdstr", "enable"), ("ohasdrun", "stop")] {
            node.write(grid.mark(node, mark), format!("{word}\n"));
        }
    }
    if !lab.is_private() {
        grid.install_sudo();
    }
    grid
}

impl Grid<'_> {
    /// `ohasdrun` or `ohasdstr` of a node, under [`Node::base`].
    pub(crate) fn mark(&self, node: &Node, name: &str) -> PathBuf {
        // Without namespaces the nodes share this machine's name.
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if self.lab.is_private() { node.name() } else { host.trim() };
        Path::new("etc/oracle/scls_scr").join(host).join("root").join(name)
    }

    /// Makes an Oracle Restart of a node: a grid home of the login user's, and an ocr.loc that says that it is alone.
    #[track_caller]
    pub(crate) fn make_restart(&self, number: usize, owner: &str) {
        let node = self.lab.node(number);
        self.configure(number, "restart", &format!("restart=1\nowner={owner}\n"));
        node.write("etc/oracle/ocr.loc", "ocrconfig_loc=/x/local.ocr\nlocal_only=TRUE\n");
        let marks = node.base().join("etc/oracle/scls_scr");
        node.sh(&format!(
            "mv {marks}/*/root {marks}/{name}/{owner} && chown -R {owner} {base}/grid {base}/oracle {marks}",
            marks = marks.display(),
            name = node.name(),
            base = node.base().display()
        ));
    }

    /// Runs crsctl as root on a node.
    #[track_caller]
    pub(crate) fn crsctl(&self, number: usize, arguments: &str) -> Output {
        let node = self.lab.node(number);
        node.sh(&format!("{}/grid/bin/crsctl {arguments}", node.base().display()))
    }

    /// Starts it on every node and waits until the program of this stage runs.
    #[track_caller]
    pub(crate) fn start_up_to(&self, stage: &str) {
        for number in 1..=self.lab.nodes().len() {
            self.crsctl(number, "start crs");
        }
        for number in 1..=self.lab.nodes().len() {
            wait::until(&format!("{stage} runs on node{number}"), || self.is_running(number, stage));
        }
    }

    /// The processes of a program on a node; zombies do not count.
    #[track_caller]
    pub(crate) fn running(&self, number: usize, program: &str) -> Vec<Process> {
        self.lab.node(number).running_exe(Path::new("grid/bin").join(program))
    }

    /// Whether the program of a stage runs on a node.
    #[track_caller]
    pub(crate) fn is_running(&self, number: usize, stage: &str) -> bool {
        let (_, program) = CHAIN.iter().find(|(name, _)| *name == stage).expect("the chain has this stage");
        !self.running(number, program).is_empty()
    }

    /// Every process of Grid's on a node.
    #[track_caller]
    pub(crate) fn all_running(&self, number: usize) -> Vec<Process> {
        let node = self.lab.node(number);
        let bin = node.base().join("grid/bin");
        let ours =
            |process: &Process| process.state != 'Z' && process.exe.as_ref().is_some_and(|exe| exe.starts_with(&bin));
        node.processes().into_iter().filter(ours).collect()
    }

    /// Kills every process of Grid's on a node.
    #[track_caller]
    pub(crate) fn kill(&self, number: usize) {
        wait::until("all of it is gone", || {
            let running = self.all_running(number);
            for process in &running {
                process.kill(Signal::KILL);
            }
            running.is_empty()
        });
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
        node.write("grid/bin/standin.conf.new", others + line);
        fs::rename(node.outside("grid/bin/standin.conf.new"), node.outside(CONFIG)).expect("both are ours");
    }

    /// Gives the nodes a `sudo`: with it everybody is root, or where there is no root, passes for it.
    #[track_caller]
    pub(crate) fn install_sudo(&self) {
        for node in self.lab.nodes() {
            fs::copy(standin(), node.outside(".lab/bin/sudo")).expect("it is ours");
            node.chmod(".lab/bin/sudo", 0o4755);
            // The system's programs come first, whatever the login's PATH says.
            node.sh(&format!("mount --bind {}/.lab/bin/sudo /usr/bin/sudo", node.base().display()));
        }
    }

    /// Node by node what runs: what a failed test wants to show.
    pub(crate) fn census(&self) -> String {
        let mut text = String::new();
        for number in 1..=self.lab.nodes().len() {
            let running: Vec<_> = self.all_running(number).into_iter().map(|process| process.comm).collect();
            text = text + "node" + &number.to_string() + ": " + &running.join(" ") + "\n";
        }
        text
    }
}

/// The stand-in's executable.
fn standin() -> PathBuf {
    opengauss::program("standin_oracle")
}
