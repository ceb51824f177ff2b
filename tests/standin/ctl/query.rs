//! `cm_ctl query`: the state of the cluster as tables (facts 1.12, measured 1.7).

use std::fmt::Write;
use std::path::PathBuf;
use std::thread;

use super::Answer;
use crate::conf::Conf;
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
    let replies = ask(conf);
    let primary = replies.iter().filter_map(|(_, reply)| reply.as_ref()).find(|reply| reply.role == "Primary");
    if !has('C') {
        return primary.map_or_else(|| Answer::error(255, NO_PRIMARY), |reply| Answer::ok(plain(reply)));
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
    fn parse(text: &str) -> Self {
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
        reply
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
            (node, thread::spawn(move || wire::ask(server?, "query").ok().map(|text| Reply::parse(&text))))
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

    fn servers(&self, replies: &[(u32, Option<Reply>)]) -> String {
        let path = self.conf.cm_data.join("cm_server").display().to_string();
        let instance = 5 + if self.path { path.len() + 1 } else { 4 };
        let header = self.header(instance, 0);
        let mut text = format!("[  CMServer State   ]\n\n{header}\n{}\n", "-".repeat(self.rule(instance, 7)));
        let column = if self.path { format!("{path} ") } else { "    ".to_owned() };
        for (id, (node, reply)) in (1..).zip(replies) {
            let state = reply.as_ref().map_or("Down", |reply| &reply.role);
            let _ = writeln!(text, "{}{}{id:<4} {column}{state}", self.name(*node), self.address(*node));
        }
        text.push('\n');
        text
    }

    fn datanodes(&self, reply: &Reply) -> String {
        let path: PathBuf = self.conf.dn.clone();
        let path = path.display().to_string();
        let instance = 5 + if self.path { path.len() + 1 } else { 4 } + if self.port { 7 } else { 0 };
        let column = if self.path { format!("{path} ") } else { "    ".to_owned() };
        let first = self.conf.datanodes.iter().copied().min();
        let row = |(node, role, state): &(u32, String, String)| {
            let id = datanode_id(*node);
            let port = if self.port { format!("{:<6} ", super::view::datanode_port(*node)) } else { String::new() };
            let preset = if Some(*node) == first { 'P' } else { 'S' };
            format!("{}{}{id} {port}{column}{preset} {role:<7} {state}", self.name(*node), self.address(*node))
        };
        let rows: Vec<String> = reply.datanodes.iter().map(row).collect();
        let across = if self.vertical { 1 } else { rows.len().max(1) };
        let mut headers = vec![self.header(instance, 17); across - 1];
        headers.push(self.header(instance, 0));
        let rule = "-".repeat(across * (self.rule(instance, 17) + 2));
        let between = if self.vertical { "\n" } else { " | " };
        format!("\n[  Datanode State   ]\n\n{}\n{rule}\n{}\n", headers.join("| "), rows.join(between))
    }
}
