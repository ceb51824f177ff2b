//! Shell text that gsctl runs on a node, and what the answers mean.
//!
//! Nothing is run here, and nothing here knows how a script gets to a node. Every script is POSIX sh, keeps to a subshell of its own,
//! reads nothing from standard input, and prints one line for each thing it was asked about. What it says is there or gone
//! it has looked at after doing it.

mod answer;
mod comments;
pub mod copy;
pub mod pull;
pub mod push;
#[cfg(test)]
mod tests;

use super::Check;
use super::quote::{quote, quote_glob};

pub use answer::{Tested, parse_changes, parse_checks, parse_facts, parse_node, parse_tests};
pub use comments::{own_lines, without_comments};

const COMMON: &str = include_str!("common.sh");
const REMOVE: &str = include_str!("remove.sh");
const TOUCH: &str = include_str!("touch.sh");
const WRITE: &str = include_str!("write.sh");
const CHECK: &str = include_str!("check.sh");
const TESTS: &str = include_str!("tests.sh");
const KILL: &str = include_str!("kill.sh");
const NODE: &str = include_str!("node.sh");

/// Bytes of a process name that Linux keeps.
const COMM: usize = 15;

/// A script that removes files, and sees them gone.
///
/// Prints `removed PATH`, `absent PATH` or `denied PATH<tab>REASON` for every file, patterns of the last component spread on the
/// node. Ends with 1 if anything was denied. Paths should have passed [`validate_rm_path`].
#[must_use]
pub fn remove(paths: &[String]) -> String {
    let calls: Vec<String> = paths.iter().map(|path| remove_call(path)).collect();
    compose(&[COMMON, REMOVE], &calls.concat())
}

fn remove_call(path: &str) -> String {
    if !has_pattern(path) {
        return format!("gs_remove {}\n", quote(path));
    }
    let dir = match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((dir, _)) => dir,
        None => ".",
    };
    let (dir, name, pattern) = (quote(dir), quote(path), quote_glob(path));
    format!("if gs_listable {dir} {name}; then for gs_path in {pattern}; do gs_remove \"$gs_path\"; done; fi\n")
}

/// A script that creates empty files where there are none.
///
/// Prints `created PATH`, `present PATH` or `denied PATH<tab>REASON` for every path, and where `if_exists` is given and not
/// there, `skipped PATH`. Of many who try at once, one hears `created`. Ends with 1 if anything was denied.
#[must_use]
pub fn touch(paths: &[String], if_exists: Option<&str>) -> String {
    let words: Vec<String> = paths.iter().map(|path| quote(path)).collect();
    let words = words.join(" ");
    let each = |call: &str| format!("for gs_path in {words}; do {call}; done\n");
    let create = each(r#"gs_touch "$gs_path""#);
    let calls = match if_exists.map(quote) {
        None => create,
        Some(condition) => {
            let unknown = each(r#"gs_say denied "$gs_path" "$gs_why""#);
            let skip = each(r#"gs_say skipped "$gs_path""#);
            format!("if [ -e {condition} ]; then\n{create}elif gs_hidden {condition}; then\n{unknown}else\n{skip}fi\n")
        }
    };
    compose(&[COMMON, TOUCH], &calls)
}

/// A script that writes a small file atomically: a new file next to it, then renamed.
///
/// Prints `written PATH`, `same PATH` (content and mode were right already) or `denied PATH<tab>REASON`; ends with 1 if denied. The content
/// arrives to the byte, but cannot hold a NUL. A symbolic link is replaced, not followed.
#[must_use]
pub fn write(path: &str, content: &str, mode: u32) -> String {
    let calls = format!(
        "gs_content={}\ngs_size={}\ngs_mode={mode:04o}\ngs_mode_words={}\ngs_write {}\n",
        quote(content),
        content.len(),
        quote(&mode_words(mode)),
        quote(path)
    );
    compose(&[COMMON, WRITE], &calls)
}

/// A script that makes every check, in order.
///
/// Prints `ok N` or `failed N<tab>REASON`, `N` counting from 0. Ends with 1 unless all hold.
#[must_use]
pub fn check(checks: &[Check]) -> String {
    check_with("/proc", checks, "")
}

/// The same, after the facts `boot_id` and `uptime` (in whole seconds) of the node.
#[must_use]
pub fn check_and_boot(checks: &[Check]) -> String {
    check_with("/proc", checks, "gs_boot\n")
}

fn check_with(proc: &str, checks: &[Check], before: &str) -> String {
    let calls = checks.iter().enumerate().map(|(n, check)| check_call(n, check));
    let calls: String = [format!("gs_proc={}\n", quote(proc)), before.to_owned()].into_iter().chain(calls).collect();
    compose(&[COMMON, CHECK], &calls)
}

fn check_call(n: usize, check: &Check) -> String {
    match check {
        Check::Process { name, path } | Check::NoProcess { name, path } => {
            let call = if matches!(check, Check::Process { .. }) { "gs_process" } else { "gs_no_process" };
            let path = quote(path.as_deref().unwrap_or_default());
            format!("{call} {n} {} {} {path}\n", quote(name), quote(as_comm(name)))
        }
        Check::Command(command) => format!("gs_command {n} {}\n", quote(command)),
        Check::Port(port) => format!("gs_port {n} {port} {port:04X}\n"),
        Check::File(path) => format!("gs_file {n} {}\n", quote(path)),
        Check::NoFile(path) => format!("gs_no_file {n} {}\n", quote(path)),
    }
}

/// A script for the file tests of a `when`.
///
/// Prints `holds` and ends with 0, or names the first test that does not hold: `fails PATH<tab>REASON` and 1, or, where
/// the node does not let us look, `unknown PATH<tab>REASON` and 2.
#[must_use]
pub fn tests(exists: &[String], missing: &[String]) -> String {
    let exists = exists.iter().map(|path| format!("gs_exists {}\n", quote(path)));
    let missing = missing.iter().map(|path| format!("gs_missing {}\n", quote(path)));
    let calls: String = exists.chain(missing).chain(["echo holds\n".to_owned()]).collect();
    compose(&[COMMON, TESTS], &calls)
}

/// A script that says which node this is, for [`parse_node`]: machine id and boot id. It starts no program.
#[must_use]
pub fn node() -> String {
    // What is not there is `-` on standard output, and no error of whoever asks.
    format!("(\n{}) 2>/dev/null\n", without_comments(NODE))
}

/// A command that is to be killed: what its wrapper said of itself.
#[derive(Debug, Clone, Copy)]
pub struct Victim<'a> {
    /// The public id, which stands in the arguments of what carries it.
    pub id: &'a str,
    /// The wrapper's process; 0 where it was not heard.
    pub pid: u32,
    /// When it was started; 0 where that is not known.
    pub start: u64,
    /// In which life of the node; `0` where that is not known.
    pub boot: &'a str,
    /// Who leads its session, where that is its own; 0 where it is not.
    pub lead: u32,
    /// It is killed over the connection that it was sent over.
    pub same_connection: bool,
}

/// A script that ends a command on the node: what has its id in its arguments, the process group and session that it leads, and what
/// descends from it in its own session.
///
/// Prints `killed` (seen gone), `never begun` (the same, of a login shell that had not come to it), `gone` (there was nothing),
/// `alive`, or `unknown<tab>REASON`, and ends with 1 for the last two. Takes up to about 4 s: 2 for SIGTERM, 2 for SIGKILL. Must
/// not run in the session that it ends.
#[must_use]
pub fn killer(victim: &Victim<'_>) -> String {
    let Victim { id, pid, start, boot, lead, same_connection } = victim;
    let set = format!(
        "gs_bad=0\ngs_nl='\n'\ngs_id={} gs_pid={pid} gs_start={start} gs_boot={} gs_leads={lead} gs_same={}\ngs_kill\n",
        quote(id),
        quote(boot),
        u8::from(*same_connection)
    );
    compose(&[KILL], &set)
}

/// Whether gsctl is willing to remove this path. The error says what is wrong with it.
///
/// A relative path starts where the login does. Patterns may stand in the last component, and must not be all of it.
///
/// # Errors
///
/// Where the path is empty, `/`, a directory by its form, goes up, cannot be reported on one line, or matches too much.
pub fn validate_rm_path(path: &str) -> Result<(), String> {
    validate_path(path)?;
    let (dir, last) = path.rsplit_once('/').unwrap_or(("", path));
    if has_pattern(dir) {
        return Err(format!("`{path}` has a pattern above its last component"));
    }
    if has_pattern(last) && last.chars().all(|c| "*?.[]!^".contains(c)) {
        return Err(format!("`{path}` matches everything in its directory"));
    }
    Ok(())
}

/// Whether a path can name one file: for `touch`, `write` and checks.
///
/// # Errors
///
/// Where the path is empty, `/`, a directory by its form, goes up, or cannot be reported on one line.
pub fn validate_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("the path is empty".to_owned());
    }
    if path.contains(['\n', '\0']) {
        return Err(format!("`{}` holds a newline or a NUL", path.escape_debug()));
    }
    if path.chars().all(|c| c == '/') {
        return Err(format!("`{path}` is the root directory"));
    }
    if path.ends_with('/') {
        return Err(format!("`{path}` ends with a slash, as only a directory does"));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(format!("`{path}` goes up with `..`"));
    }
    if path.rsplit('/').next() == Some(".") {
        return Err(format!("`{path}` is a directory"));
    }
    if path.starts_with('~') {
        return Err(format!("`{path}`: `~` is not expanded on the node; a relative path starts at the home directory"));
    }
    Ok(())
}

/// The parts without their comments, then the calls, in a subshell so that nothing they set is left behind.
fn compose(parts: &[&str], calls: &str) -> String {
    let mut script = String::from("(\n");
    for part in parts {
        script.push_str(&own_lines(part));
    }
    script.push_str(calls);
    script.push_str("exit $gs_bad\n)\n");
    script
}

fn has_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// A process name as the kernel keeps it. A character that is cut in two is left out: then nothing matches, which is better
/// than text that is not UTF-8.
fn as_comm(name: &str) -> &str {
    let end = (0..=COMM.min(name.len())).rev().find(|&at| name.is_char_boundary(at)).unwrap_or_default();
    &name[..end]
}

/// The permission bits as `ls -l` words them, for a regular file.
fn mode_words(mode: u32) -> String {
    let mut words = String::from("-");
    for (shift, special, (with, without)) in [(6, 0o4000, ('s', 'S')), (3, 0o2000, ('s', 'S')), (0, 0o1000, ('t', 'T'))]
    {
        let bits = mode >> shift;
        words.push(if bits & 4 == 0 { '-' } else { 'r' });
        words.push(if bits & 2 == 0 { '-' } else { 'w' });
        words.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => with,
            (true, false) => without,
        });
    }
    words
}
