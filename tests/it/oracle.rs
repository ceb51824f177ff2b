//! `oracle-rac` from outside: the built-in playbooks against two nodes with a stand-in for Grid Infrastructure.
//!
//! What a run says is held against the process tables of the nodes.

use crate::gsctl::{Gsctl, Run};
use crate::lab::oracle::{CHAIN, Grid, install};
use crate::lab::{Lab, faults};
use serde_json::Value;

/// Two nodes on which root logs in, as crsctl wants it.
fn lab() -> Lab {
    let builder = Lab::builder().nodes(2);
    if rustix::process::geteuid().is_root() { builder.login("root").start() } else { builder.start() }
}

/// `gsctl VERB --system oracle-rac` with where the lab keeps its files, and the report on stdout.
fn gsctl(lab: &Lab, verb: &str) -> Gsctl {
    with_hosts(lab, verb, "")
}

fn with_hosts(lab: &Lab, verb: &str, more: &str) -> Gsctl {
    let mut text = String::new();
    for node in lab.nodes() {
        let line = lab.hosts_line(node.name(), node.address());
        text += &format!("{} olr_loc={}/etc/oracle/olr.loc\n", line.trim_end(), node.base().display());
    }
    let hosts = lab.write_hosts_file(&(text + more));
    lab.gsctl().hosts_file(hosts).arg(verb).args(["--system", "oracle-rac", "--json", "-"])
}

#[test]
fn play() {
    let lab = lab();
    let grid = install(&lab);
    let r = gsctl(&lab, "start").args(["--wait", "20s"]).run();
    eprintln!("{r}\n{}", grid.census());
    for v in ["status", "start", "stop", "stop", "status"] {
        let r = gsctl(&lab, v).run();
        eprintln!("{r}\n{}", grid.census());
    }
    grid.fault(2, "hollow", "ocssd.bin");
    let r = gsctl(&lab, "start").args(["--wait", "4s"]).run();
    eprintln!("{r}\n{}", grid.census());
    let _ = (CHAIN, faults::mute_port);
    let _: Option<(Run, Value, Grid)> = None;
    panic!();
}
