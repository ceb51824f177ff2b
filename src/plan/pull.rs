//! Files that are copied from the nodes: which, and where to on this machine.

use super::{Template, Vars};
use crate::inventory::filename::safe_name;

/// What may stand in braces in a destination, and tells hosts apart or not.
pub const NAMES: [&str; 4] = ["host", "address", "user", "port"];

/// What is copied, and where to.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Files and directories on the nodes.
    pub sources: Vec<Template>,
    /// The directory on this machine. Where it does not name the host, each host has one of its own in it.
    pub dest: Template,
    /// Directories too.
    pub dirs: bool,
    /// What the only source is called here, where that is not its own name.
    pub rename: Option<String>,
    /// As this user, through the node's sudo.
    pub sudo: Option<Template>,
    /// Sources may be patterns, which the node's shell spreads.
    pub patterns: bool,
}

/// One file or directory on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullSource {
    /// Its path there.
    pub path: String,
    /// What it is called here.
    pub name: String,
    /// The path is a pattern, and what it matches goes by its own name.
    pub pattern: bool,
}

impl Pull {
    /// The directory of one host. Names that a host could use to leave the destination are made harmless.
    #[must_use]
    pub fn dir(&self, vars: &Vars) -> String {
        let value = |name: &str| vars.get(name).map(safe_name).unwrap_or_default();
        let mut safe = vars.clone();
        // What hosts say of themselves becomes a variable of this name.
        let said = self.dest.variables().filter(|name| name.starts_with("share_"));
        for name in NAMES.into_iter().chain(said) {
            safe.insert(name, value(name));
        }
        let dir = self.dest.render_plain(&safe);
        if self.dest.variables().any(|name| name == "host" || name == "address") {
            return dir;
        }
        let slash = if dir.ends_with('/') { "" } else { "/" };
        format!("{dir}{slash}{}", value("host"))
    }

    /// What is copied from one host.
    ///
    /// # Errors
    /// When a path is none, or has no name that it could have here.
    pub fn sources(&self, vars: &Vars) -> Result<Vec<PullSource>, String> {
        let mut sources: Vec<PullSource> = Vec::new();
        for template in &self.sources {
            let mut source = source(&template.render_plain(vars))?;
            if let Some(name) = &self.rename {
                source.name.clone_from(name);
            }
            source.pattern = self.patterns && source.path.contains(['*', '?', '[']);
            if source.pattern {
                sources.push(source);
                continue;
            }
            if sources.iter().any(|other| !other.pattern && other.name == source.name) {
                return Err(format!(
                    "two sources are called `{}`: one would replace the other\nhint: copy them to different places, with two commands",
                    source.name
                ));
            }
            sources.push(source);
        }
        Ok(sources)
    }
}

fn source(text: &str) -> Result<PullSource, String> {
    if text.is_empty() {
        return Err("a source is empty".to_owned());
    }
    if text.contains(['\n', '\0']) {
        return Err(format!("the source `{}` holds a newline or a NUL", text.escape_debug()));
    }
    if text.starts_with('~') {
        return Err(format!("`{text}`: `~` is not expanded on the node; a relative path starts at the home directory"));
    }
    let path = text.trim_end_matches('/');
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == "." || name == ".." {
        return Err(format!(
            "`{text}` has no name that it could have here\nhint: name the directory itself, or what is in it"
        ));
    }
    Ok(PullSource { path: path.to_owned(), name: name.to_owned(), pattern: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(sources: &[&str], dest: &str) -> Pull {
        let parse = |text: &&str| Template::parse(text).unwrap();
        Pull {
            sources: sources.iter().map(parse).collect(),
            dest: parse(&dest),
            dirs: true,
            rename: None,
            sudo: None,
            patterns: true,
        }
    }

    #[test]
    fn every_host_has_a_directory_of_its_own() {
        #[track_caller]
        fn case(dest: &str, host: &str, want: &str) {
            let vars: Vars = [("host", host), ("address", "::1"), ("user", "../u")].into_iter().collect();
            assert_eq!(pull(&[], dest).dir(&vars), want);
        }
        case("out", "node1", "out/node1");
        case("out/", "node1", "out/node1");
        case("/b/{host}-log/x", "node1", "/b/node1-log/x");
        case("b/{address}", "node1", "b/::1");
        case("b/{user}", "node1", "b/%2e.%2fu/node1");
        case("out", "../../etc", "out/%2e.%2f..%2fetc");
        case("out/{host}", "..", "out/%2e.");
    }

    #[test]
    fn sources_have_names() {
        let vars: Vars = [("host", "n1")].into_iter().collect();
        let sources = pull(&["/var/log/", "x/{host}.conf"], "o").sources(&vars).unwrap();
        let is = |path: &str, name: &str| PullSource { path: path.to_owned(), name: name.to_owned(), pattern: false };
        assert_eq!(sources, [is("/var/log", "log"), is("x/n1.conf", "n1.conf")]);
        // Whatever matches is not known yet.
        let sources = pull(&["/a/*.log", "/b/*.log"], "o").sources(&vars).unwrap();
        assert!(sources.len() == 2 && sources.iter().all(|source| source.pattern));
        for bad in [&["/"][..], &[".."], &["a/."], &["~/x"], &[""], &["a\nb"], &["a/x", "b/x"]] {
            assert!(pull(bad, "o").sources(&vars).is_err(), "{bad:?}");
        }
    }
}
