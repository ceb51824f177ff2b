//! The tools that are measured: what each is called, which version is there, and how it is told to run `true` on all hosts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::Job;
use super::site::{Files, Site, beside};

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Gsctl,
    /// The loop that only logs in.
    Bare,
    Pssh,
    Pdsh,
    Clush,
    ParallelSsh,
    Bssh,
    Ansible,
}

impl Tool {
    pub(crate) const ALL: [Self; 8] =
        [Self::Gsctl, Self::Bare, Self::Pssh, Self::Pdsh, Self::Clush, Self::ParallelSsh, Self::Bssh, Self::Ansible];

    /// As the page names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gsctl => "gsctl",
            Self::Bare => "bare loop",
            Self::Pssh => "pssh",
            Self::Pdsh => "pdsh",
            Self::Clush => "clush",
            Self::ParallelSsh => "parallel-ssh (library)",
            Self::Bssh => "bssh",
            Self::Ansible => "ansible",
        }
    }

    /// True where each host is a process, so that ten thousand take very long.
    pub(crate) fn forks(self) -> bool {
        matches!(self, Self::Pssh | Self::Pdsh | Self::Clush | Self::Ansible)
    }

    /// True where the key exchange can be chosen.
    pub(crate) fn chooses_kex(self) -> bool {
        self.forks() || self == Self::Gsctl
    }

    /// The program, where it is installed.
    pub(crate) fn program(self) -> Option<PathBuf> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
        let path = match self {
            Self::Gsctl => beside("gsctl").ok()?,
            Self::Bare => beside("bare").ok()?,
            Self::Pssh => which("parallel-ssh")?,
            Self::Pdsh => which("pdsh")?,
            Self::Clush => which("clush")?,
            Self::Ansible => which("ansible")?,
            Self::ParallelSsh => peers.join("venv/bin/python"),
            Self::Bssh => peers.join("bin/bssh"),
        };
        path.exists().then_some(path)
    }

    /// Its version, as it says it.
    pub(crate) fn version(self) -> Option<String> {
        let program = self.program()?;
        let words: &[&str] = match self {
            Self::Bare => return Some(String::new()),
            Self::Pdsh => &["-V"],
            Self::ParallelSsh => {
                &["-c", "import importlib.metadata as m; import pssh.clients; print(m.version('parallel-ssh'))"]
            }
            _ => &["--version"],
        };
        let output = Command::new(program)
            .args(words)
            .env("HOME", std::env::temp_dir())
            .env("LC_ALL", "C.UTF-8")
            .output()
            .ok()?;
        let text = [output.stdout, output.stderr].concat();
        let line = String::from_utf8_lossy(&text).lines().next()?.to_owned();
        let is_number = |word: &&str| {
            word.trim_start_matches("pdsh-").starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')
        };
        let words = || line.split(|c: char| c.is_whitespace() || "[]()".contains(c));
        output
            .status
            .success()
            .then(|| words().find(is_number).or_else(|| words().next_back()).unwrap_or_default())
            .map(|word| word.trim_start_matches("pdsh-").to_owned())
    }

    /// `true` on all hosts.
    pub(crate) fn job(self, program: PathBuf, site: &Site, files: &Files, fanout: usize, kex: Option<&str>) -> Job {
        let many = fanout.to_string();
        let config = files.at("config").display().to_string();
        let path = |name: &str| files.at(name).display().to_string();
        let direct = || vec![site.port.to_string(), site.user.clone(), site.key.display().to_string(), many.clone()];
        let (args, env, stdin): (Vec<String>, Vec<(&'static str, OsString)>, _) = match self {
            Self::Gsctl => {
                let mut args = gsctl_options(site, files, fanout, kex);
                args.extend(words(&["exec", "true"]));
                (args, vec![], None)
            }
            Self::Bare => (direct(), vec![], Some(files.at("addresses"))),
            Self::ParallelSsh => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("parallel_ssh.py");
                let mut args = vec![script.display().to_string()];
                args.extend(direct());
                (args, vec![], Some(files.at("addresses")))
            }
            Self::Pssh => (
                words(&["-h", &path("names"), "-p", &many, "-t", "0", "-x", &format!("-F {config}"), "true"]),
                vec![],
                None,
            ),
            Self::Pdsh => (
                words(&["-S", "-R", "ssh", "-f", &many, "-w", &format!("^{}", path("names")), "true"]),
                vec![("PDSH_SSH_ARGS", format!("-2 -x -F {config} %h").into())],
                None,
            ),
            Self::Clush => (
                words(&["-q", "-S", "-f", &many, "--hostfile", &path("names"), "-o", &format!("-F {config}"), "true"]),
                vec![],
                None,
            ),
            Self::Ansible => (
                words(&["all", "-i", &path("inventory"), "-f", &many, "-m", "raw", "-a", "true"]),
                vec![
                    ("ANSIBLE_SSH_ARGS", format!("-F {config}").into()),
                    ("ANSIBLE_CONFIG", path("ansible.cfg").into()),
                ],
                None,
            ),
            Self::Bssh => (
                // It does not take a name twice, nor more hosts in one word than the kernel lets pass.
                std::fs::read_to_string(files.at("names"))
                    .unwrap_or_default()
                    .lines()
                    .collect::<Vec<_>>()
                    .chunks(1_000)
                    .flat_map(|hosts| ["-H".to_owned(), hosts.join(",")])
                    .chain(words(&[
                        "-F",
                        &config,
                        "-l",
                        &site.user,
                        "-p",
                        &site.port.to_string(),
                        "-i",
                        &site.key.display().to_string(),
                        "--parallel",
                        &many,
                        "--strict-host-key-checking",
                        "no",
                        "--require-all-success",
                        "true",
                    ]))
                    .collect(),
                vec![],
                None,
            ),
        };
        let args = args.into_iter().map(OsString::from).collect();
        Job { program, args, env, stdin, dir: files.dir().to_owned(), status: 0 }
    }
}

/// What gsctl is told about hosts and logins.
pub(crate) fn gsctl_options(site: &Site, files: &Files, fanout: usize, kex: Option<&str>) -> Vec<String> {
    let known = format!("UserKnownHostsFile={}", site.known_hosts.display());
    let (hosts, key, many) =
        (files.at("hosts").display().to_string(), site.key.display().to_string(), fanout.to_string());
    let mut args = words(&["-f", &hosts, "-i", &key, "-o", &known, "--fanout", &many, "--connect-timeout", "60s"]);
    if let Some(kex) = kex {
        args.extend(words(&["-o", &format!("KexAlgorithms={kex}")]));
    }
    args
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
