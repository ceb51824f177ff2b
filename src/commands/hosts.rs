//! `gsctl hosts`: the selection and every host's settings. Contacts no host.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::cli::{Hosts, Options};
use crate::exit::ExitStatus;
use crate::inventory::cm_view;
use crate::inventory::host::Host;
use crate::inventory::hostset;
use crate::reporter::Table;
use crate::reporter::style::Styles;
use crate::ssh_config::ProxyRoute;

use super::environment::Environment;
use super::jumps::{self, Role};
use super::origins::{self, Stated};
use super::output_inputs::terminal_size;
use super::routes::{Route, ask_ahead, load_config, route};
use super::{report_files, selection};
use crate::diagnostic::Diagnostic;

/// Prints the selection.
///
/// # Errors
/// When the hosts file, `ssh_config` or an option is wrong.
pub(super) fn hosts(args: &Hosts, options: &Options, environment: &Environment) -> Result<ExitStatus, Diagnostic> {
    if let Some(path) = &args.from_cm_view {
        return from_cm_view(path);
    }
    let mut wanted = options.hosts.clone();
    for set in &args.set {
        match set.as_str() {
            "-" => wanted.hosts.extend(sets_from_stdin()?),
            set => wanted.hosts.push(set.to_owned()),
        }
    }
    if args.set.iter().any(|set| set == "-") && wanted.hosts.is_empty() {
        return Ok(ExitStatus::NoHosts);
    }
    let selected = selection::select(&wanted, &options.ssh, environment)?;
    report_files::check(&report_files::common_inputs(options, &selected, environment), &options.output)?;
    if args.groups {
        return finish(print_groups(&selected, options.output.json.as_deref(), environment));
    }
    if args.expand || args.fold {
        return finish(print_names(&selected.hosts, args.fold));
    }
    let config = load_config(&options.ssh, environment)?;
    ask_ahead(&selected.hosts, &options.ssh, &config)?;
    let mut err = io::stderr().lock();
    for warning in &selected.warnings {
        let _ = writeln!(err, "warning: {warning}");
    }
    let mut rows = Vec::with_capacity(selected.hosts.len());
    for host in &selected.hosts {
        let route = route(host, &options.ssh, &config, Role::Selected)?;
        let way = jumps::way(host, &options.ssh, &route.options, Role::Selected)?;
        let stated = match options.output.verbose {
            0 => Vec::new(),
            _ => origins::stated(host, &route, &way, options, environment),
        };
        rows.push(HostRow { host, route, way, stated });
    }
    let written = match &options.output.json {
        Some(path) if path == Path::new("-") => print_json(&rows, &mut io::stdout().lock()),
        Some(path) => {
            let mut file = std::fs::File::create(path)
                .map_err(|error| Diagnostic::usage(format!("report file `{}`: {error}", path.display())))?;
            print_json(&rows, &mut file)
        }
        None => print_table(&rows, environment),
    };
    finish(written)
}

/// Every group, and the selected hosts that are in it.
fn print_groups(selected: &selection::Selected, json_to: Option<&Path>, environment: &Environment) -> io::Result<()> {
    let of = |group: &String| -> Vec<&str> {
        selected.hosts.iter().filter(|host| host.groups.contains(group)).map(|host| &*host.name).collect()
    };
    if let Some(path) = json_to {
        let groups: Map<String, Value> =
            selected.groups.iter().map(|group| (group.clone(), of(group).into())).collect();
        let text = format!("{:#}\n", json!({ "schema": "gsctl.groups/1", "groups": groups }));
        return if path == Path::new("-") {
            io::stdout().lock().write_all(text.as_bytes())
        } else {
            std::fs::write(path, text)
        };
    }
    let mut table = Table::new(["GROUP", "HOSTS", "SET"]);
    for group in &selected.groups {
        let names = of(group);
        table.row([group.clone(), names.len().to_string(), hostset::fold(&names)]);
    }
    let columns = if environment.stdout_tty { terminal_size(environment).map(|(columns, _)| columns) } else { None };
    table.write(&mut io::stdout().lock(), &Styles::default(), columns, "~")
}

/// Host sets on standard input, for `... | gsctl hosts --fold -`.
fn sets_from_stdin() -> Result<Vec<String>, Diagnostic> {
    let text =
        io::read_to_string(io::stdin()).map_err(|error| Diagnostic::usage(format!("standard input: {error}")))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn print_names(hosts: &[Arc<Host>], fold: bool) -> io::Result<()> {
    let names: Vec<&str> = hosts.iter().map(|host| &*host.name).collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    if fold {
        writeln!(out, "{}", hostset::fold(&names))?;
    } else {
        for name in names {
            writeln!(out, "{name}")?;
        }
    }
    out.flush()
}

/// A host, where it is, and what carries the connection to it.
struct HostRow<'a> {
    host: &'a Host,
    route: Route,
    way: ProxyRoute,
    /// With -v: everything that is said of it, and by whom.
    stated: Vec<Stated>,
}

impl HostRow<'_> {
    /// What carries the connection, where it is not the network.
    fn via(&self) -> Option<String> {
        match &self.way {
            ProxyRoute::None => None,
            ProxyRoute::Jump(hops) => Some(jumps::shown(hops)),
            ProxyRoute::Command(_) => Some("ProxyCommand".to_owned()),
        }
    }
}

fn print_table(rows: &[HostRow<'_>], environment: &Environment) -> io::Result<()> {
    // A column only for those who have something to see in it.
    let carried = rows.iter().any(|row| row.via().is_some());
    let jump = if carried { &["JUMP"][..] } else { &[] };
    let heads = [&["HOST", "ADDRESS", "PORT", "USER"], jump, &["GROUPS", "SETTINGS"]].concat();
    let mut table = Table::new(heads);
    for row in rows {
        let HostRow { host, route, stated, .. } = row;
        let settings: Vec<String> = if stated.is_empty() {
            let own = |key: &str| matches!(key, "address" | "jump" | "port" | "user");
            let settings = host.settings.iter().filter(|(key, _)| !own(key));
            settings.map(|(key, setting)| format!("{key}={}", setting.value)).collect()
        } else {
            stated.iter().map(|Stated { name, value, from }| format!("{name}={value} ({from})")).collect()
        };
        let via = carried.then(|| row.via().unwrap_or_default());
        let cells = [host.name.to_string(), route.address.clone(), route.port.to_string(), route.user.clone()];
        let rest = [host.groups.join(","), settings.join(" ")];
        table.row(cells.into_iter().chain(via).chain(rest));
    }
    // With -v lines are not cut to the terminal's width.
    let cut = environment.stdout_tty && rows.iter().all(|row| row.stated.is_empty());
    let columns = if cut { terminal_size(environment).map(|(columns, _)| columns) } else { None };
    table.write(&mut io::stdout().lock(), &Styles::default(), columns, "~")
}

fn print_json(rows: &[HostRow<'_>], out: &mut dyn Write) -> io::Result<()> {
    let hosts: Vec<Value> = rows
        .iter()
        .map(|row| {
            let HostRow { host, route, stated, .. } = row;
            let vars: Map<String, Value> =
                host.vars().map(|(key, value)| (key.to_owned(), Value::from(value))).collect();
            let mut value = json!({
                "host": &*host.name,
                "address": route.address,
                "port": route.port,
                "user": route.user,
                "groups": host.groups,
                "vars": vars,
            });
            if !stated.is_empty() {
                let settings = stated
                    .iter()
                    .map(|Stated { name, value, from }| (name.clone(), json!({ "value": value, "from": from })));
                value["settings"] = settings.collect::<Map<String, Value>>().into();
            }
            match &row.way {
                ProxyRoute::None => {}
                ProxyRoute::Jump(hops) => value["jump"] = jumps::shown(hops).into(),
                ProxyRoute::Command(command) => value["proxy_command"] = command.as_str().into(),
            }
            value
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &json!({ "schema": "gsctl.hosts/1", "hosts": hosts }))?;
    writeln!(out)
}

fn from_cm_view(path: &Path) -> Result<ExitStatus, Diagnostic> {
    let diagnostic = |error: io::Error| Diagnostic::usage(format!("`{}`: {error}", path.display()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map_err(diagnostic)?;
    } else {
        bytes = std::fs::read(path).map_err(diagnostic)?;
    }
    let nodes = cm_view::parse_cm_view(&String::from_utf8_lossy(&bytes))
        .map_err(|problem| Diagnostic::usage(problem.to_string()))?;
    finish(io::stdout().lock().write_all(cm_view::to_hosts_file(&nodes).as_bytes()))
}

/// What printing means for the exit status; a reader that went away is no failure.
pub(super) fn finish(written: io::Result<()>) -> Result<ExitStatus, Diagnostic> {
    match written {
        Ok(()) => Ok(ExitStatus::Success),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitStatus::Success),
        Err(error) => Err(Diagnostic {
            status: ExitStatus::Broken,
            message: format!("cannot write to standard output: {error}"),
            hint: None,
        }),
    }
}
