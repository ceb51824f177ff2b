//! Brings up a lab for people: `cargo run --bin lab -- up --nodes 3`, then work with what it prints.
//!
//! The lab lives until its stdin ends or it is interrupted.

#[path = "mod.rs"]
mod lab;

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use lab::{Builder, Lab, opengauss};

const USAGE: &str = "usage: lab up [--nodes N] [--dir DIR] [--login USER] [--shell SHELL] [--sshd-config LINE] \
                     [--same-host N] [--no-opengauss] [--stopped]";

/// What was asked for.
#[derive(Debug)]
struct Wishes {
    nodes: usize,
    builder: Builder,
    same_host: Option<usize>,
    opengauss: bool,
    monitors: bool,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(wishes) => match up(&wishes) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error.to_string()),
        },
        Err(problem) => complain(&format!("{problem}\n{USAGE}")),
    }
}

fn complain(text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "lab: {text}");
    ExitCode::from(2)
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Wishes, String> {
    if arguments.next().as_deref() != Some("up") {
        return Err("what to do is missing".to_owned());
    }
    let mut wishes = Wishes { nodes: 3, builder: Lab::builder(), same_host: None, opengauss: true, monitors: true };
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--no-opengauss" => wishes.opengauss = false,
            "--stopped" => wishes.monitors = false,
            _ => {
                let value = arguments.next().ok_or_else(|| format!("`{option}` needs a value"))?;
                let number = || value.parse().map_err(|_| format!("`{value}` is not a number"));
                wishes.builder = match option.as_str() {
                    "--nodes" => {
                        wishes.nodes = number()?;
                        wishes.builder
                    }
                    "--same-host" => {
                        wishes.same_host = Some(number()?);
                        wishes.builder
                    }
                    "--dir" => wishes.builder.inside(&PathBuf::from(&value)),
                    "--login" => wishes.builder.login(&value),
                    "--shell" => wishes.builder.shell(&value),
                    "--sshd-config" => wishes.builder.sshd_config(&format!("{value}\n")),
                    _ => return Err(format!("`{option}` is not an option")),
                };
            }
        }
    }
    Ok(wishes)
}

fn up(wishes: &Wishes) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let lab = match wishes.same_host {
        Some(n) => Lab::one_sshd_many_hosts(n),
        None => wishes.builder.clone().nodes(wishes.nodes).start(),
    };
    if wishes.opengauss && wishes.same_host.is_none() {
        let cluster = opengauss::install(&lab);
        if wishes.monitors {
            cluster.start_monitors();
        }
    }
    announce(&lab)?;

    let (ended, end) = mpsc::channel();
    let from_stdin = ended.clone();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        from_stdin.send(())
    });
    thread::spawn(move || signals.forever().next().map(|_| ended.send(())));
    let _ = end.recv();
    Ok(())
}

/// Prints what a shell needs to know, for `eval` or for the eye.
fn announce(lab: &Lab) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "# {} nodes, user {}, port {}", lab.nodes().len(), lab.user(), lab.port())?;
    for node in lab.nodes() {
        writeln!(out, "#   {} {} files in {}", node.name(), node.address(), node.outside("").display())?;
    }
    for (name, path) in [
        ("LAB", lab.dir().to_owned()),
        ("LAB_HOSTS", lab.hosts_file()),
        ("LAB_KEY", lab.key()),
        ("LAB_KNOWN_HOSTS", lab.known_hosts()),
        ("LAB_HOME", lab.client_home()),
        ("GSCTL_HOSTS_FILE", lab.hosts_file()),
    ] {
        writeln!(out, "export {name}={}", path.display())?;
    }
    writeln!(out, "# gsctl -i $LAB_KEY -o UserKnownHostsFile=$LAB_KNOWN_HOSTS ping")?;
    writeln!(out, "# ready")?;
    out.flush()
}
