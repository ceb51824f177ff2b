//! `cm_ctl query`: the state of the cluster as tables (facts 1.12, measured 1.7).

use std::fmt::Write;
use std::path::PathBuf;
use std::thread;

use super::Answer;
use crate::conf::{Conf, Misbehaviour};
use crate::home::datanode_id;
use crate::wire;

const RULE: &str = "-----------------------------------------------------------------------\n\n";
const NO_PRIMARY: &str =
    "cm_ctl: can't connect to cm_server.\nMaybe cm_server is not running, or timeout expired. Please try again.\n";

/// Asks all `cm_server`s and prints what the primary says.
pub(super) fn query(conf: &Conf, options: &[String]) -> Answer {
    let has = |flag| options.iter().any(|option| option.starts_with('-') && option.contains(flag));
    if has('C') != has('v') {
        return Answer::refused(1, "cm_ctl: -Cv is needed.\n");
    }
    let replies = if conf.does(Misbehaviour::Isolated) || conf.does(Misbehaviour::Blind) {
        conf.cm_servers.iter().map(|&node| (node, None)).collect()
    } else {
        ask(conf)
    };
    let primary = replies.iter().filter_map(|(_, reply)| reply.as_ref()).find(|reply| reply.role == "Primary");
    if !has('C') {
        return primary.map_or_else(|| Answer::error(255, NO_PRIMARY), |reply| Answer::ok(plain(reply)));
    }
    if primary.is_none() {
        thread::sleep(conf.query_delay);
    }
    let table = Table { conf, ip: has('i'), port: has('p'), path: has('d'), vertical: has('w') };
    let mut text = table.servers(&replies);
    let Some(primary) = primary else {
        text.push_str(NO_PRIMARY);
        return Answer::error(255, text);
    };
    text.push_str(&cluster(primary));
    text.push_str(&table.datanodes(primary));
    Answer::ok(text)
}

/// What a `cm_server` said.
#[derive(Default)]
struct Reply {
    role: String,
    state: String,
    balanced: String,
    pausing: String,
    /// Node, role, state.
    datanodes: Vec<(u32, String, String)>,
}

impl Reply {
    /// Whoever names no role is no `cm_server`, and so is one that was cut off.
    fn parse(text: &str) -> Option<Self> {
        let mut reply = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "role" => value.clone_into(&mut reply.role),
                "state" => value.clone_into(&mut reply.state),
                "balanced" => value.clone_into(&mut reply.balanced),
                "pausing" => value.clone_into(&mut reply.pausing),
                "dn" => reply.datanodes.extend(datanode(value)),
                _ => {}
            }
        }
        Some(reply).filter(|reply| !reply.role.is_empty())
    }
}

fn datanode(value: &str) -> Option<(u32, String, String)> {
    let mut parts = value.splitn(3, ':');
    Some((parts.next()?.parse().ok()?, parts.next()?.to_owned(), parts.next()?.to_owned()))
}

/// All at once, so that dead nodes cost one timeout together.
fn ask(conf: &Conf) -> Vec<(u32, Option<Reply>)> {
    let asked: Vec<_> = conf
        .cm_servers
        .iter()
        .map(|&node| {
            let server = conf.server(node);
            (node, thread::spawn(move || Reply::parse(&wire::ask(server?, "query").ok()?)))
        })
        .collect();
    asked.into_iter().map(|(node, reply)| (node, reply.join().ok().flatten())).collect()
}

/// Without -C.
fn plain(reply: &Reply) -> String {
    let Reply { state, balanced, .. } = reply;
    format!(
        "{RULE}cluster_state             : {state}\nredistributing            : No\n\
         balanced                  : {balanced}\n\n{RULE}"
    )
}

fn cluster(reply: &Reply) -> String {
    let Reply { state, balanced, .. } = reply;
    let mut text = format!(
        "[   Cluster State   ]\n\ncluster_state   : {state}\nredistributing  : No\nbalanced        : {balanced}\n\
         current_az      : AZ_ALL\n"
    );
    // The line is there only while paused.
    if reply.pausing == "Yes" {
        text.push_str("pausing         : Yes\n");
    }
    text
}

/// The widest of some columns.
fn width(columns: &[String]) -> usize {
    columns.iter().map(String::len).max().unwrap_or(0)
}

/// Which columns were asked for.
#[expect(clippy::struct_excessive_bools, reason = "they are the letters of -Cvipdw, each on its own")]
struct Table<'a> {
    conf: &'a Conf,
    ip: bool,
    port: bool,
    path: bool,
    vertical: bool,
}

impl Table<'_> {
    fn name(&self, node: u32) -> String {
        let width = self.name_width();
        format!("{node:<2} {:<width$} ", format!("cmnode{node}"))
    }

    fn name_width(&self) -> usize {
        format!("cmnode{}", self.conf.nodes.len()).len()
    }

    /// Two blanks follow the widest address, although the header has one (measured 1.7).
    fn address(&self, node: u32) -> String {
        let ip = self.conf.ip(node).filter(|_| self.ip);
        ip.map_or_else(String::new, |ip| format!("{:<15}  ", ip.to_string()))
    }

    /// `node`, `node_ip`, `instance` and `state`; the widths are those of `PrintDnHeaderLine` and are not the rows'.
    fn header(&self, instance: usize, state: usize) -> String {
        let node = 2 + 1 + self.name_width() + 1;
        let ip = if self.ip { format!("{:<16}", "node_ip") } else { String::new() };
        format!("{:<node$}{ip}{:<instance$}{:<state$}", "node", "instance", "state")
    }

    fn rule(&self, instance: usize, state: usize) -> usize {
        2 + 1 + self.name_width() + 1 + if self.ip { 16 } else { 0 } + instance + state
    }

    /// The path column: as wide as the widest, or four blanks where no path was asked for.
    fn paths(&self, nodes: &[u32], path: impl Fn(u32) -> PathBuf) -> Vec<String> {
        if !self.path {
            return vec![" ".repeat(4); nodes.len()];
        }
        let paths: Vec<_> = nodes.iter().map(|node| path(*node).display().to_string()).collect();
        let widest = width(&paths);
        paths.iter().map(|path| format!("{path:<widest$} ")).collect()
    }

    fn servers(&self, replies: &[(u32, Option<Reply>)]) -> String {
        let paths = self.paths(&self.conf.cm_servers, |node| self.conf.cm_data(node).join("cm_server"));
        let instance = 5 + width(&paths);
        let header = self.header(instance, 0);
        let mut text = format!("[  CMServer State   ]\n\n{header}\n{}\n", "-".repeat(self.rule(instance, 7)));
        for (id, ((node, reply), path)) in (1..).zip(replies.iter().zip(paths)) {
            let state = reply.as_ref().map_or("Down", |reply| &reply.role);
            let _ = writeln!(text, "{}{}{id:<4} {path}{state}", self.name(*node), self.address(*node));
        }
        text.push('\n');
        text
    }

    fn datanodes(&self, reply: &Reply) -> String {
        let nodes: Vec<u32> = reply.datanodes.iter().map(|(node, ..)| *node).collect();
        let paths = self.paths(&nodes, |node| self.conf.dn(node));
        let instance = 5 + width(&paths) + if self.port { 7 } else { 0 };
        let first = self.conf.datanodes.iter().copied().min();
        let row = |((node, role, state), path): (&(u32, String, String), &String)| {
            let id = datanode_id(*node);
            let port = if self.port { format!("{:<6} ", super::view::datanode_port(*node)) } else { String::new() };
            let preset = if Some(*node) == first { 'P' } else { 'S' };
            format!("{}{}{id} {port}{path}{preset} {role:<7} {state}", self.name(*node), self.address(*node))
        };
        let rows: Vec<String> = reply.datanodes.iter().zip(&paths).map(row).collect();
        let across = if self.vertical { 1 } else { rows.len().max(1) };
        let mut headers = vec![self.header(instance, 17); across - 1];
        headers.push(self.header(instance, 0));
        let rule = "-".repeat(across * (self.rule(instance, 17) + 2));
        let between = if self.vertical { "\n" } else { " | " };
        format!("\n[  Datanode State   ]\n\n{}\n{rule}\n{}\n", headers.join("| "), rows.join(between))
    }
}
