//! The test lab: real sshd nodes on loopback addresses, with files and processes of their own.
//!
//! As root every node runs in namespaces, so that the same absolute path is another file on each node, as on real
//! machines, and nothing of this machine is changed but for the empty directory [`MOUNT`]. As any other user a
//! node is a directory. A program that is missing makes a lab panic with the way to install it; no test is skipped.

#![allow(dead_code, reason = "the tests and the program each use a part")]

pub(crate) mod account;
pub(crate) mod address;
mod builder;
pub(crate) mod faults;
pub(crate) mod greenplum;
pub(crate) mod key;
pub(crate) mod node;
pub(crate) mod opengauss;
pub(crate) mod oracle;
pub(crate) mod process;
pub(crate) mod proxy;
mod sshd;
mod tool;
pub(crate) mod wait;

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

pub(crate) use builder::Builder;
pub(crate) use key::Key;
pub(crate) use node::Node;

/// Where a node with namespaces sees its own directory.
pub(crate) const MOUNT: &str = "/opt/gsctl-lab";

/// A running lab. Dropping it kills every process of every node and removes every file.
#[derive(Debug)]
pub(crate) struct Lab {
    // The nodes go first: their files must outlive them.
    nodes: Vec<Node>,
    hosts: Vec<(String, SocketAddr)>,
    _block: address::Block,
    dir: TempDir,
}

impl Lab {
    /// `n` nodes, everything else as it comes.
    #[track_caller]
    pub(crate) fn start(n: usize) -> Self {
        Self::builder().nodes(n).start()
    }

    /// A lab with wishes.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// One sshd that the hosts file names `n` times, at one address.
    #[track_caller]
    pub(crate) fn one_sshd_many_hosts(n: usize) -> Self {
        let mut lab = Self::start(1);
        let address = lab.nodes[0].address;
        lab.hosts = (1..=n).map(|number| (format!("node{number}"), address)).collect();
        lab.write_client_files();
        lab
    }

    /// The nodes, in order.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node by its number: 1 is `node1`.
    #[track_caller]
    pub(crate) fn node(&self, number: usize) -> &Node {
        &self.nodes[number - 1]
    }

    /// Whether nodes have namespaces, that is whether the test runs as root.
    pub(crate) fn is_private(&self) -> bool {
        self.nodes[0].private
    }

    /// Who logs in.
    pub(crate) fn user(&self) -> &str {
        &self.nodes[0].account.name
    }

    /// The port of every sshd.
    pub(crate) fn port(&self) -> u16 {
        self.nodes[0].address.port()
    }

    /// The lab's directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The client's home: empty but for an empty `.ssh`.
    pub(crate) fn client_home(&self) -> PathBuf {
        self.dir().join("client/home")
    }

    /// The hosts file with every node.
    pub(crate) fn hosts_file(&self) -> PathBuf {
        self.dir().join("client/hosts")
    }

    /// The right host key of every node.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.dir().join("client/known_hosts")
    }

    /// The key that every node accepts.
    pub(crate) fn key(&self) -> PathBuf {
        self.dir().join("client/key")
    }

    /// Makes another key that every node accepts.
    #[track_caller]
    pub(crate) fn add_key(&self, key: &Key) -> PathBuf {
        let path = self.unknown_key(key);
        let public = fs::read_to_string(path.with_extension("pub")).expect("ssh-keygen wrote it");
        for node in &self.nodes {
            append(&node.dir.join(".lab/authorized_keys"), &public);
        }
        path
    }

    /// Makes a key that no node accepts.
    #[track_caller]
    pub(crate) fn unknown_key(&self, key: &Key) -> PathBuf {
        let path = self.dir().join(format!("client/key-{}-{:08x}", key.kind(), fastrand::u32(..)));
        key.make(&path);
        path
    }

    /// The hosts file with these lines after those of the nodes; it goes to another file, whose path is returned.
    #[track_caller]
    pub(crate) fn hosts_file_with(&self, lines: &str) -> PathBuf {
        // Before the variables, which are a section of their own.
        let text = self.hosts_text();
        let (hosts, vars) = text.split_at(text.find("[all:vars]").unwrap_or(text.len()));
        self.write_hosts_file(&[hosts, lines, vars].concat())
    }

    /// A hosts file with this text alone.
    #[track_caller]
    pub(crate) fn write_hosts_file(&self, text: &str) -> PathBuf {
        let path = self.dir().join(format!("client/hosts-{:08x}", fastrand::u32(..)));
        fs::write(&path, text).expect("the lab is writable");
        path
    }

    /// The hosts line for a peer that is not a node: a fault, or a proxy.
    pub(crate) fn hosts_line(&self, name: &str, address: SocketAddr) -> String {
        format!("{name} address={} port={} user={}\n", address.ip(), address.port(), self.user())
    }

    /// Adds to `known_hosts` that the keys of `node` are right for a proxy in front of it.
    #[track_caller]
    pub(crate) fn trust(&self, name: &str, address: SocketAddr, node: &Node) {
        append(&self.known_hosts(), &known_hosts_lines(node, &host_patterns(name, address)));
    }

    /// Puts into `known_hosts` a key for `node` that is not the one it has, in place of those it has.
    #[track_caller]
    pub(crate) fn change_host_key(&self, node: &Node) {
        let known = fs::read_to_string(self.known_hosts()).expect("known_hosts is readable");
        let others = known.lines().filter(|line| !line.starts_with(&format!("{},", node.name)));
        let mut text = others.fold(String::new(), |text, line| text + line + "\n");
        let wrong = self.unknown_key(&Key::ed25519());
        let wrong = fs::read_to_string(wrong.with_extension("pub")).expect("ssh-keygen wrote it");
        let _ = write!(text, "{} {wrong}", host_patterns(&node.name, node.address));
        fs::write(self.known_hosts(), text).expect("the lab is writable");
    }

    /// OpenSSH's own client, on its way to a node; add options or the command.
    pub(crate) fn ssh(&self, node: &Node) -> Command {
        self.ssh_to(node.address)
    }

    /// The same to any address.
    pub(crate) fn ssh_to(&self, address: SocketAddr) -> Command {
        let mut command = Command::new(tool::path("ssh"));
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=20"]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.known_hosts().display()));
        command.arg("-i").arg(self.key()).args(["-p", &address.port().to_string()]);
        command.arg(format!("{}@{}", self.user(), address.ip()));
        command.env("HOME", self.client_home()).env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        command
    }

    fn hosts_text(&self) -> String {
        let mut text = String::new();
        for (name, address) in &self.hosts {
            text.push_str(&self.hosts_line(name, *address));
            if !self.is_private() {
                let node = self.nodes.iter().find(|node| node.address == *address).unwrap_or(&self.nodes[0]);
                text.pop();
                let _ = writeln!(text, " gausshome={}", node.gausshome().display());
            }
        }
        if self.is_private() {
            let _ = writeln!(text, "[all:vars]\ngausshome={}", self.nodes[0].gausshome().display());
        }
        text
    }

    /// Writes the hosts file and `known_hosts`.
    fn write_client_files(&self) {
        let mut known = String::new();
        for node in &self.nodes {
            let names = self.hosts.iter().filter(|(_, address)| *address == node.address);
            let names = names.map(|(name, _)| host_patterns(name, node.address)).collect::<Vec<_>>().join(",");
            known.push_str(&known_hosts_lines(node, &names));
        }
        fs::write(self.known_hosts(), known).expect("the lab is writable");
        fs::write(self.hosts_file(), self.hosts_text()).expect("the lab is writable");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            for node in &self.nodes {
                let log = node.sshd_log();
                let from = log.lines().count().saturating_sub(25);
                let tail = log.lines().skip(from).fold(String::new(), |text, line| text + "  " + line + "\n");
                let _ = writeln!(io::stderr(), "sshd log of {} ({}):\n{tail}", node.name, node.address);
            }
        }
        // All at once: a node takes a moment to die.
        thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(|| node.halt());
            }
        });
    }
}

/// The names under which OpenSSH may look a host up.
fn host_patterns(name: &str, address: SocketAddr) -> String {
    format!("{name},[{name}]:{port},[{}]:{port}", address.ip(), port = address.port())
}

fn known_hosts_lines(node: &Node, patterns: &str) -> String {
    let keys = fs::read_dir(node.dir.join(".lab")).expect("the node has files");
    let mut lines: Vec<_> = keys
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pub"))
        .map(|path| format!("{patterns} {}", fs::read_to_string(path).expect("ssh-keygen wrote it")))
        .collect();
    lines.sort();
    lines.concat()
}

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the lab is writable");
}

/// Ends a test, or the rest of one, that only root can run: as a failure, so that it is not taken for one that passed.
#[track_caller]
pub(crate) fn need_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root (nodes in namespaces, processes of two users): run the tests as root, or below `unshare -r`"
    );
}
