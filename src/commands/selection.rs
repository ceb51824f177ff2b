//! Reads hosts files and selects hosts. Contacts no host.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::{HostOptions, HostSetting, SshOptions};
use crate::exit::ExitStatus;
use crate::inventory::host::Host;
use crate::inventory::{Hosts, Inventory, Origin, Setting, file, select};
use crate::partition::Partition;

use super::environment::Environment;
use super::inventories::{self, Programs};
use super::past_hosts;
use crate::diagnostic::Diagnostic;

/// The hosts of a run, and what is worth saying about how they came about.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// In the file's order, each once.
    pub(super) hosts: Vec<Arc<Host>>,
    /// Every host that the hosts file knows: a jump host need not be selected.
    pub(super) known: Hosts,
    /// Names of all groups.
    pub(super) groups: Vec<String>,
    /// Warnings, each a fragment.
    pub(super) warnings: Vec<String>,
    /// The hosts files that were read.
    pub(super) files: Vec<PathBuf>,
    /// The part of the selection that these are, which may be empty.
    pub(super) partition: Option<Partition>,
}

/// Reads the hosts files and selects.
///
/// # Errors
/// When a file cannot be read or is wrong, or no host is left.
pub(super) fn select(
    options: &HostOptions,
    ssh: &SshOptions,
    environment: &Environment,
) -> Result<Selected, Diagnostic> {
    let (inventory, files) = inventory(options, ssh, Programs::Run, environment)?;
    choose(inventory, files, options, environment)
}

/// Selects hosts of files that were read.
///
/// # Errors
/// When a set is wrong, or no host is left.
pub(super) fn choose(
    mut inventory: Inventory,
    files: Vec<PathBuf>,
    options: &HostOptions,
    environment: &Environment,
) -> Result<Selected, Diagnostic> {
    let groups = inventory.groups.keys().cloned().collect();
    let past = past_hosts::add(&mut inventory, options, environment)?;
    let wanted = select::Selection {
        hosts: options.hosts.clone(),
        groups: options.group.clone(),
        within: options.intersect.clone(),
        exclude: options.exclude.clone(),
    };
    let selected =
        select::select_with_warnings(&inventory, &wanted).map_err(|error| Diagnostic::usage(error.to_string()))?;
    let mut warnings = inventory.warnings.clone();
    warnings.extend(expanded_by_the_shell(&options.hosts));
    warnings.extend(groups_as_hosts(&options.hosts, &inventory));
    warnings.extend(selected.warnings);
    warnings.extend(past.iter().filter_map(crate::journal::past::PastRun::warning));
    if selected.hosts.is_empty() {
        return Err(past_hosts::no_hosts(options, &past).unwrap_or_else(|| no_hosts(options, &inventory, &files)));
    }
    let partition = partition(options, environment)?;
    let mut places = 0..;
    let mut hosts = selected.hosts;
    hosts.retain(|_| places.next().is_some_and(|place| partition.is_none_or(|part| part.includes(place))));
    Ok(Selected { hosts, known: inventory.hosts, groups, warnings, files, partition })
}

/// The part that the options ask for.
fn partition(options: &HostOptions, environment: &Environment) -> Result<Option<Partition>, Diagnostic> {
    let Some(asked) = options.partition else { return Ok(None) };
    let part = asked.resolve(|name| environment.var(name));
    part.map(Some).map_err(|error| Diagnostic::usage(error.to_string()).hint(error.hint))
}

/// Reads the hosts files: what they say together, and which they were.
///
/// # Errors
/// When a file cannot be read or is wrong, or there is none and no host is named either.
pub(super) fn inventory(
    options: &HostOptions,
    ssh: &SshOptions,
    programs: Programs,
    environment: &Environment,
) -> Result<(Inventory, Vec<PathBuf>), Diagnostic> {
    let files = files(options, environment)?;
    let named = !options.hosts_file.is_empty();
    let programs = if programs == Programs::Run && !named { Programs::Refuse } else { programs };
    let read = |path: &PathBuf| inventories::read(path, ssh, programs, environment);
    let inventories = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut inventory = file::merge(inventories);
    add_settings(&mut inventory, options);
    Ok((inventory, files))
}

/// What the config file says of hosts, as if it stood under `[all:vars]`, weaker than everything else.
fn add_settings(inventory: &mut Inventory, options: &HostOptions) {
    for HostSetting { name, value, file, line } in &options.settings {
        let origin = Origin::Group { name: "all".into(), file: file.as_str().into(), line: *line };
        let (name, setting) = (name.as_str().into(), Setting { value: value.clone(), origin });
        let everybody = inventory.hosts.values_mut().map(|host| &mut Arc::make_mut(host).settings);
        for settings in everybody.chain([&mut inventory.all]) {
            settings.add(&name, || setting.clone());
        }
    }
}

/// Whether the hosts were asked for by one plain name, so that there is one host whatever the files say.
pub(super) fn is_one_plain_name(sets: &[String]) -> bool {
    match sets {
        [name] => !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte)),
        _ => false,
    }
}

/// A name that is also a file in the working directory: the shell may have put it in the place of a pattern.
fn expanded_by_the_shell(sets: &[String]) -> Option<String> {
    let name = sets.iter().find(|name| is_one_plain_name(std::slice::from_ref(name)) && Path::new(name).exists())?;
    Some(format!("-w {name}: there is a file `{name}` here; did the shell expand a pattern? Quote it: -w 'node[1-8]'"))
}

/// A name that no host has and a group does: the group was meant, most likely.
fn groups_as_hosts(sets: &[String], inventory: &Inventory) -> Vec<String> {
    let names = sets.iter().flat_map(|set| set.split([',', ' '])).map(str::trim);
    let groups = names.filter(|name| inventory.groups.contains_key(*name) && !inventory.hosts.contains_key(*name));
    groups.map(|name| format!("-w {name}: taken as the name of a host; the group `{name}` is `@{name}`")).collect()
}

/// The hosts files that are to be read.
fn files(options: &HostOptions, environment: &Environment) -> Result<Vec<PathBuf>, Diagnostic> {
    if !options.hosts_file.is_empty() {
        return Ok(options.hosts_file.clone());
    }
    let own = environment.config_dir().join("hosts");
    for candidate in [PathBuf::from("hosts"), own.clone()] {
        if candidate.is_file() {
            return Ok(vec![candidate]);
        }
    }
    if options.hosts.is_empty() {
        return Err(Diagnostic {
            status: ExitStatus::NoHosts,
            message: "no host selected: there is no hosts file".to_owned(),
            hint: Some(format!("name one with -f, hosts with -w, or write ./hosts or {}", own.display())),
        });
    }
    Ok(Vec::new())
}

fn no_hosts(options: &HostOptions, inventory: &Inventory, files: &[PathBuf]) -> Diagnostic {
    let names: Vec<String> = files.iter().map(|path| format!("`{}`", path.display())).collect();
    let from = if names.is_empty() { String::new() } else { format!(" from {}", names.join(", ")) };
    let (why, hint) = nobody(options, inventory);
    let message = format!("no host selected{from}: {why}");
    Diagnostic { status: ExitStatus::NoHosts, message, hint: Some(hint) }
}

/// Why nobody is left, and the way out.
fn nobody(options: &HostOptions, inventory: &Inventory) -> (String, String) {
    let shows = || "`gsctl hosts` shows who there is".to_owned();
    let is_blank = |set: &String| set.trim_matches([',', ' ', '\t', '\n']).is_empty();
    if !options.hosts.is_empty() && options.hosts.iter().all(is_blank) {
        let hint = "name hosts, as in -w 'node[1-3]'; without -w all hosts of the hosts file are selected";
        return ("-w names nobody".to_owned(), hint.to_owned());
    }
    let of_sets = options.hosts.iter().filter_map(|set| set.strip_prefix('@'));
    let groups = options.group.iter().flat_map(|groups| groups.split(',')).map(str::trim).chain(of_sets);
    let is_empty = |group: &&str| inventory.groups.get(*group).is_some_and(Vec::is_empty);
    if let Some(group) = groups.into_iter().find(is_empty) {
        let hint = "write hosts under its section, or groups under its `:children`; `gsctl hosts` shows who there is";
        return (format!("group `{group}` has no hosts"), hint.to_owned());
    }
    if options.hosts.is_empty() && inventory.hosts.is_empty() {
        return ("the hosts file has no hosts".to_owned(), "one host a line, see hosts.example".to_owned());
    }
    let narrowed = !(options.exclude.is_empty() && options.group.is_empty() && options.intersect.is_empty());
    if narrowed {
        return ("-g, --intersect and -x leave nobody".to_owned(), shows());
    }
    (format!("`{}` comes to nobody", options.hosts.join(",")), shows())
}
