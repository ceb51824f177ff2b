//! `-f clustershell:[DIR]`: the groups that `ClusterShell` knows, from its configuration directories or the one that is named.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use indexmap::IndexSet;

use crate::inventory::Inventory;
use crate::inventory::clustershell::{self, GroupSource, Sections};

use super::environment::Environment;
use super::inventories::Programs;
use super::program;
use crate::diagnostic::Diagnostic;

/// Where group sources of files lie, where no `groups.conf` says it.
const AUTODIR: &str = "$CFGDIR/groups.d";

/// Reads the groups. `dir` is what stands behind the colon.
///
/// # Errors
/// When there are none, or a file, an upcall or a node set is wrong.
pub(super) fn read(
    name: &str,
    dir: &str,
    programs: Programs,
    environment: &Environment,
) -> Result<Inventory, Diagnostic> {
    let directories = directories(dir, environment);
    let found: Vec<&PathBuf> = directories.iter().filter(|dir| dir.is_dir()).collect();
    let Some(own) = found.iter().rev().find(|dir| dir.join("groups.conf").is_file()).or(found.last()) else {
        let names: Vec<String> = directories.iter().map(|dir| format!("`{}`", dir.display())).collect();
        return Err(Diagnostic::usage(format!("hosts file `{name}`: there is no directory {}", names.join(" or ")))
            .hint("name the one in which `groups.conf` or `groups.d` lies: -f clustershell:DIR"));
    };
    let own = std::path::absolute(own).unwrap_or_else(|_| (*own).clone());
    let mut reader = Reader { own, programs, conf: Conf::default(), sources: Vec::new(), warnings: Vec::new() };
    let files: Vec<PathBuf> = found.iter().map(|dir| dir.join("groups.conf")).filter(|file| file.is_file()).collect();
    let has_conf = !files.is_empty();
    for file in files {
        reader.conf(&file)?;
    }
    for dir in reader.listed(&["confdir", "groupsdir"], "") {
        for file in entries(&dir, ".conf")? {
            reader.conf(&file)?;
        }
    }
    reader.upcalls()?;
    for dir in reader.listed(&["autodir"], AUTODIR) {
        for file in entries(&dir, ".yaml")? {
            let text = text(&file)?;
            let read = clustershell::yaml(&text, &file.display().to_string());
            reader.add(read.map_err(|problem| Diagnostic::usage(problem.to_string()))?)?;
        }
    }
    if !has_conf {
        // Where `groups.conf` is there, its upcalls read the flat file.
        let flat = [reader.own.join("groups"), reader.own.join("groups.d/local.cfg")];
        if let Some(file) = flat.iter().find(|file| file.is_file()) {
            let read = clustershell::flat(&text(file)?, &file.display().to_string());
            reader.add(vec![read.map_err(|problem| Diagnostic::usage(problem.to_string()))?])?;
        }
    }
    reader.settle(name)
}

/// Directories of configuration, the strongest last, as `ClusterShell` looks for them.
fn directories(dir: &str, environment: &Environment) -> Vec<PathBuf> {
    if !dir.is_empty() {
        return vec![environment.path(dir)];
    }
    let system = environment.var("CLUSTERSHELL_CFGDIR").unwrap_or("/etc/clustershell");
    let config = environment.var("XDG_CONFIG_HOME").map_or_else(|| environment.home.join(".config"), PathBuf::from);
    vec![PathBuf::from(system), environment.home.join(".local/etc/clustershell"), config.join("clustershell")]
}

/// What the `groups.conf` files say.
#[derive(Default)]
struct Conf {
    sections: Sections,
    /// The file that has named each section last.
    files: BTreeMap<String, PathBuf>,
}

struct Reader {
    /// `$CFGDIR`.
    own: PathBuf,
    programs: Programs,
    conf: Conf,
    sources: Vec<GroupSource>,
    warnings: Vec<String>,
}

impl Reader {
    fn conf(&mut self, file: &Path) -> Result<(), Diagnostic> {
        let mut said = Sections::new();
        let text = text(file)?;
        let read = clustershell::config(&text, &file.display().to_string(), &mut said);
        read.map_err(|problem| Diagnostic::usage(problem.to_string()))?;
        for (section, keys) in said {
            self.conf.files.insert(section.clone(), file.to_owned());
            self.conf.sections.entry(section).or_default().extend(keys);
        }
        Ok(())
    }

    fn main(&self, key: &str) -> Option<&str> {
        let main = self.conf.sections.get("Main").or_else(|| self.conf.sections.get("main"))?;
        main.get(key).map(String::as_str)
    }

    /// Directories that the configuration names, without those that are not there.
    fn listed(&self, keys: &[&str], otherwise: &str) -> Vec<PathBuf> {
        let said = keys.iter().find_map(|key| self.main(key)).unwrap_or(otherwise);
        let own = self.own.display().to_string();
        let dirs: IndexSet<PathBuf> = said
            .split_whitespace()
            .map(|dir| self.own.join(dir.trim_matches(['"', '\'']).replace("$CFGDIR", &own)))
            .collect();
        dirs.into_iter().filter(|dir| dir.is_dir()).collect()
    }

    fn add(&mut self, sources: Vec<GroupSource>) -> Result<(), Diagnostic> {
        for source in sources {
            if let Some(before) = self.sources.iter().find(|known| known.name == source.name) {
                let (name, file) = (&source.name, &source.file);
                let message = format!("hosts file `{file}`: the group source `{name}` is in `{}` too", before.file);
                return Err(Diagnostic::usage(message).hint("give one of the two another name"));
            }
            self.sources.push(source);
        }
        Ok(())
    }

    /// Asks the sources that are commands for their groups.
    fn upcalls(&mut self) -> Result<(), Diagnostic> {
        if self.programs == Programs::Leave {
            return Ok(());
        }
        let sections = self.conf.sections.clone();
        for (section, keys) in sections.iter().filter(|(section, _)| !section.eq_ignore_ascii_case("main")) {
            let Some(file) = self.conf.files.get(section).cloned() else { continue };
            let shown = file.display().to_string();
            for source in section.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let mut made = GroupSource { name: source.to_owned(), file: shown.clone(), ..GroupSource::default() };
                let (Some(list), Some(map)) = (keys.get("list"), keys.get("map")) else {
                    let missing = if keys.contains_key("map") { "list" } else { "map" };
                    self.warnings.push(format!(
                        "hosts file `{shown}`: the group source `{source}` has no `{missing}`, so its groups are left out"
                    ));
                    continue;
                };
                for group in self.upcall(source, "list", list, "", &file)?.split_whitespace() {
                    if !is_plain(group) {
                        self.warnings.push(format!(
                            "hosts file `{shown}`: the group `{}` of the source `{source}` is left out: its name would \
                            be shell text in `map`",
                            group.escape_debug()
                        ));
                        continue;
                    }
                    let nodes = self.upcall(source, "map", map, group, &file)?;
                    made.groups.insert(group.to_owned(), (joined(&nodes), 0));
                }
                if let Some(all) = keys.get("all") {
                    made.all = Some(joined(&self.upcall(source, "all", all, "", &file)?));
                }
                self.add(vec![made])?;
            }
        }
        Ok(())
    }

    /// What one upcall prints.
    fn upcall(&self, source: &str, key: &str, text: &str, group: &str, file: &Path) -> Result<String, Diagnostic> {
        let said = format!("upcall `{key}` of the group source `{source}` in `{}`", file.display());
        program::refuse_writable(file, &said)?;
        let own = self.own.display().to_string();
        let values = [("CFGDIR", own.as_str()), ("SOURCE", source), ("GROUP", group)];
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(substituted(text, &values)).current_dir(&self.own);
        let said = if group.is_empty() { said } else { format!("{said}, for the group `{group}`,") };
        let (bytes, _) = program::printed(&mut command, &said)?;
        String::from_utf8(bytes).map_err(|_| Diagnostic::usage(format!("{said} prints what is not UTF-8")))
    }

    fn settle(self, name: &str) -> Result<Inventory, Diagnostic> {
        if self.sources.is_empty() && self.programs != Programs::Leave {
            let message = format!("hosts file `{name}`: there are no group sources in `{}`", self.own.display());
            return Err(Diagnostic::usage(message).hint("they are sections of groups.conf and files groups.d/*.yaml"));
        }
        let first = self.sources.first().map(|source| source.name.clone()).unwrap_or_default();
        let default = self.main("default").map_or(first, str::to_owned);
        if self.programs == Programs::Run && !self.sources.iter().any(|source| source.name == default) {
            return Err(Diagnostic::usage(format!(
                "hosts file `{name}`: there is no group source `{default}`, which groups.conf has as the default"
            )));
        }
        let mut inventory = clustershell::settle(&self.sources, &default, name).map_err(Diagnostic::usage)?;
        if let Some(source) = inventory.sources.first_mut() {
            source.warnings.extend(self.warnings);
        }
        Ok(inventory)
    }
}

/// A name that can stand in a command.
fn is_plain(group: &str) -> bool {
    group.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '+' | '/' | '='))
        && !group.starts_with('-')
}

/// Lines and blanks both part nodes.
fn joined(nodes: &str) -> String {
    nodes.split_whitespace().collect::<Vec<_>>().join(",")
}

/// `$NAME` and `${NAME}` by their values; whatever else has a `$` is the shell's.
fn substituted(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, end) = if let Some((name, _)) = braced {
            (name, name.len() + 2)
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            (&after[..end], end)
        };
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            out.push_str(value);
            rest = &after[end..];
        } else {
            out.push('$');
            rest = after;
        }
    }
    out + rest
}

/// The files of a directory with such an end, by name.
fn entries(dir: &Path, end: &str) -> Result<Vec<PathBuf>, Diagnostic> {
    let wrong = |error: io::Error| Diagnostic::usage(format!("hosts file `{}`: {error}", dir.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.as_os_str().as_encoded_bytes().ends_with(end.as_bytes()) && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn text(file: &Path) -> Result<String, Diagnostic> {
    fs::read_to_string(file).map_err(|error| Diagnostic::usage(format!("hosts file `{}`: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_an_upcall() {
        let values = [("GROUP", "web"), ("CFGDIR", "/etc/x")];
        for (text, want) in [
            ("sed -n 's/^$GROUP:\\(.*\\)/\\1/p' $f", "sed -n 's/^web:\\(.*\\)/\\1/p' $f"),
            ("cat ${CFGDIR}/$GROUP.x $GROUPS $$HOME ${x", "cat /etc/x/web.x $GROUPS $HOME ${x"),
        ] {
            assert_eq!(substituted(text, &values), want);
        }
        assert!(is_plain("rack1:a") && !is_plain("a;b") && !is_plain("$(x)") && !is_plain("-n"));
    }
}
