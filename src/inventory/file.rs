//! A hosts file's text to an inventory.
//!
//! Reads bytes that it is given, never a file. Which of two values wins is settled in `resolve`.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::decode::decode;
use super::hostset::{MOST_HOSTS, expand_element};
use super::other_formats;
use super::other_formats::{ETC_HOSTS, SecondColumn};
use super::problem::{PieceError, Problem, Text, harmless, quoted};
use super::settings;
use super::source::{HostLine, HostsSource, Var};
use super::spec::{SpecError, check_user, is_address, parse_spec};
use super::words::{Word, words};
use super::{Inventory, resolve};
use crate::text::nearest;

/// Reads a hosts file. `file` is its name for messages.
///
/// A file without hosts is an inventory without hosts, not an error.
///
/// # Errors
///
/// The first thing that is wrong, with its place.
pub fn parse(text: &[u8], file: &str) -> Result<Inventory, Problem> {
    let text = decode(text, file)?;
    let problem = |line: usize, excerpt: &str, fault| Problem::new(Text::HostsFile, file, line, excerpt, fault);
    let mut reader = HostsFileReader::new(file);
    for (number, line) in (1..).zip(text.split('\n')) {
        reader.number = number;
        reader.read(line.trim_end_matches('\r')).map_err(|fault| problem(number, line, fault))?;
    }
    reader.doubt_users();
    check_groups(&reader.source)
        .map_err(|(number, fault)| problem(number, text.split('\n').nth(number - 1).unwrap_or_default(), fault))?;
    Ok(resolve::resolve(vec![reader.source]))
}

/// Several hosts files as one: what a later file says counts as said on later lines.
#[must_use]
pub fn merge(inventories: impl IntoIterator<Item = Inventory>) -> Inventory {
    let sources = inventories.into_iter().flat_map(|inventory| inventory.sources).collect();
    Inventory { sources: Vec::new(), ..resolve::resolve(sources) }
}

/// The part of a file that a line stands in.
#[derive(Clone, Copy)]
enum Section {
    /// Hosts, of a group or of none.
    Hosts(Option<usize>),
    /// `[GROUP:children]`.
    Children(usize),
    /// `[GROUP:vars]`.
    Vars(usize),
}

struct HostsFileReader {
    source: HostsSource,
    section: Section,
    number: usize,
    hosts: usize,
    /// True once a line was seen that is neither blank nor comment.
    begun: bool,
    /// Keys that were warned about already.
    slips: HashSet<String>,
    /// Users in the second column.
    seconds: Vec<SecondColumn>,
}

impl HostsFileReader {
    fn new(file: &str) -> Self {
        let source = HostsSource { file: file.to_owned(), ..HostsSource::default() };
        Self {
            source,
            section: Section::Hosts(None),
            number: 0,
            hosts: 0,
            begun: false,
            slips: HashSet::new(),
            seconds: Vec::new(),
        }
    }

    fn read(&mut self, line: &str) -> Result<(), PieceError> {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            if let Some(included) = other_formats::pdsh_include(trimmed) {
                let file = self.source.file.clone();
                self.warn(&format!(
                    "{} is a comment, so its hosts are not taken; both files are named so: -f {file} -f {included}",
                    quoted(trimmed.trim_end())
                ));
            }
            return Ok(());
        }
        if !std::mem::replace(&mut self.begun, true)
            && let Some((what, hint)) = other_formats::whole_file(line)
        {
            return Err(PieceError::new(1, format!("this looks like {what}, not like a hosts file")).hint(hint));
        }
        if let Some((column, header)) = header(line)? {
            self.section = self.open(column, header)?;
            return Ok(());
        }
        let words = words(line)?;
        if let Some(last) = words.last().filter(|last| last.pair.is_none() && last.text.ends_with('\\')) {
            return Err(PieceError::new(last.column, "a `\\` at the end of a line, and no line goes on in the next")
                .hint("write all settings of a host on its line, or those of many hosts under `[GROUP:vars]`"));
        }
        match self.section {
            Section::Hosts(group) => self.host_line(&words, group),
            Section::Children(group) => self.children_line(&words, group),
            Section::Vars(group) => self.vars_line(&words, group),
        }
    }

    /// Begins the section of this header.
    fn open(&mut self, column: usize, header: &str) -> Result<Section, PieceError> {
        let (name, kind) = header.split_once(':').map_or((header, ""), |(name, kind)| (name.trim(), kind.trim()));
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.starts_with('-') || !name.chars().all(fits) {
            return Err(PieceError::new(column, format!("{} is not a name for a group", quoted(name)))
                .hint("names of groups are letters, digits, `_`, `-` and `.`: `[primary]`"));
        }
        if !matches!(kind, "" | "children" | "vars") || (kind.is_empty() && header.contains(':')) {
            return Err(PieceError::new(
                column,
                format!("{} is not a kind of section", quoted(&format!("[{header}]"))),
            )
            .hint(format!("sections are `[{name}]`, `[{name}:children]` and `[{name}:vars]`")));
        }
        if name == "all" {
            return match kind {
                "" => Ok(Section::Hosts(None)),
                "vars" => Ok(Section::Vars(self.group(name, column))),
                _ => Err(PieceError::new(column, "`all` has every host already").hint("leave this section out")),
            };
        }
        let group = self.group(name, column);
        self.source.groups[group].defined |= kind != "vars";
        Ok(match kind {
            "" => Section::Hosts(Some(group)),
            "children" => Section::Children(group),
            _ => Section::Vars(group),
        })
    }

    fn group(&mut self, name: &str, column: usize) -> usize {
        let entry = self.source.groups.entry(name.to_owned());
        let index = entry.index();
        entry.or_default();
        let group = &mut self.source.groups[index];
        if group.at.0 == 0 {
            group.at = (self.number, column);
        }
        index
    }

    fn host_line(&mut self, words: &[Word<'_>], group: Option<usize>) -> Result<(), PieceError> {
        let Some((first, rest)) = words.split_first() else { return Ok(()) };
        if let Some((key, _)) = &first.pair {
            return Err(PieceError::new(
                first.column,
                format!("{} stands where a host is expected", quoted(first.text)),
            )
            .hint(format!("settings follow the host (`node1 {key}=...`), or stand under `[all:vars]`")));
        }
        let second = rest.first().map_or("", |word| word.text);
        if let Some((what, hint)) = other_formats::host_line(first.text, second).filter(|_| !second.is_empty()) {
            return Err(PieceError::new(first.column, format!("this looks like {what}")).hint(hint));
        }
        let names = expand_element(first.text)
            .map_err(|fault| PieceError { column: first.column + fault.column - 1, ..fault })?;
        // Mostly one, and there may be very many lines.
        let mut specs = Vec::with_capacity(names.len());
        for name in names {
            specs.push(parse_spec(&name).map_err(|error| fault(first.column, error))?);
        }
        self.hosts += specs.len();
        if self.hosts > MOST_HOSTS {
            return Err(PieceError::new(first.column, "the file has more than 1,000,000 hosts"));
        }
        let given = InSpec {
            user: specs.iter().any(|spec| spec.user.is_some()),
            port: specs.iter().any(|spec| spec.port.is_some()),
        };
        let settings = self.settings(rest, Some(given))?;
        if rest.first().is_some_and(|word| word.pair.is_none()) {
            self.seconds.push(SecondColumn { line: self.number, host: first.text.to_owned(), user: second.to_owned() });
        }
        if let Some(range) = specs.iter().find_map(|spec| other_formats::dashed_range(&spec.host)) {
            self.warn(&format!(
                "{} is taken as the name of one host; a range is written `{range}`",
                quoted(first.text)
            ));
        }
        self.source.lines.push(HostLine { line: self.number, group, specs, settings });
        Ok(())
    }

    /// Something that is not wrong, but perhaps not meant.
    fn warn(&mut self, message: &str) {
        let HostsSource { file, warnings, .. } = &mut self.source;
        warnings.push(format!("hosts file `{file}`, line {}: {message}", self.number));
    }

    /// Says which users look like hosts: the file may be one of `/etc/hosts`.
    fn doubt_users(&mut self) {
        let hosts: HashSet<&str> =
            self.source.lines.iter().flat_map(|line| &line.specs).map(|spec| spec.host.as_str()).collect();
        let Some((line, said)) = other_formats::users_that_are_hosts(&self.seconds, |name| hosts.contains(name)) else {
            return;
        };
        self.number = line;
        self.warn(&said);
    }

    /// The words after a host, or the words of a `:vars` line.
    fn settings(&mut self, words: &[Word<'_>], host: Option<InSpec>) -> Result<Vec<(String, String)>, PieceError> {
        let mut settings = IndexMap::new();
        for (at, word) in words.iter().enumerate() {
            let (key, value) = match &word.pair {
                Some((key, value)) => (*key, value.clone()),
                None if at == 0 && host.is_some() => ("user", second_column(word, words.get(1))?),
                None => return Err(not_a_setting(word, words.get(at + 1), host.is_some(), &self.source.file)),
            };
            let written = word.pair.as_ref().map_or_else(|| format!("user={}", word.text), |_| word.text.to_owned());
            settings::check(key, &value, &written).map_err(|error| fault(word.column, error))?;
            if host.is_none() && key == "address" {
                return Err(PieceError::new(word.column, "`address` is of one host, not of a group")
                    .hint("write it on the host's line: `node1 address=10.0.0.1`"));
            }
            let before = host.is_some_and(|given| (key == "user" && given.user) || (key == "port" && given.port));
            if before || settings.contains_key(key) {
                return Err(
                    PieceError::new(word.column, format!("`{key}` is given twice")).hint("leave one of the two out")
                );
            }
            if let Some(known) = settings::slip(key)
                && self.slips.insert(key.to_owned())
            {
                let message = "is not a setting that gsctl knows, so it is a variable; did you mean";
                self.warn(&format!("`{key}` {message} `{known}`?"));
            }
            settings.insert(key.to_owned(), value);
        }
        Ok(settings.into_iter().collect())
    }

    fn children_line(&mut self, words: &[Word<'_>], group: usize) -> Result<(), PieceError> {
        for (at, word) in words.iter().enumerate() {
            if at > 0 || word.pair.is_some() {
                return Err(PieceError::new(
                    word.column,
                    format!("{} stands where a group is expected", quoted(word.text)),
                )
                .hint("a `:children` section has one group a line, nothing else"));
            }
            let place = (self.number, word.column);
            self.source.groups[group].children.push((word.text.to_owned(), place));
        }
        Ok(())
    }

    fn vars_line(&mut self, words: &[Word<'_>], group: usize) -> Result<(), PieceError> {
        let line = self.number;
        let settings = self.settings(words, None)?;
        self.source.groups[group].vars.extend(settings.into_iter().map(|(key, value)| Var { key, value, line }));
        Ok(())
    }
}

/// What the first word of a host line says already.
#[derive(Clone, Copy)]
struct InSpec {
    user: bool,
    port: bool,
}

fn fault(column: usize, error: SpecError) -> PieceError {
    PieceError { column, message: error.message, hint: error.hint }
}

/// The user in the second column, as in pssh.
fn second_column(word: &Word<'_>, next: Option<&Word<'_>>) -> Result<String, PieceError> {
    let Word { column, text, .. } = *word;
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PieceError::new(column, format!("{} stands where the user is expected", quoted(text)))
            .hint(format!("a port is written `node1:{text}` or `port={text}`")));
    }
    if is_address(text) || (text.contains('.') && next.is_some_and(|next| next.pair.is_none())) {
        return Err(
            PieceError::new(column, format!("{} stands where the user is expected", quoted(text))).hint(ETC_HOSTS)
        );
    }
    if text.contains(',') {
        return Err(PieceError::new(column, format!("{} stands where the user is expected", quoted(text)))
            .hint(other_formats::GENDERS));
    }
    check_user(text).map_err(|error| {
        fault(column, error.hint("the second word of a line is the user; settings are written `key=value`"))
    })?;
    Ok(text.to_owned())
}

fn not_a_setting(word: &Word<'_>, next: Option<&Word<'_>>, host: bool, file: &str) -> PieceError {
    let fault = PieceError::new(word.column, format!("{} is not `key=value`", quoted(word.text)));
    if host {
        return fault
            .hint("a line is `[user@]host[:port] [user] [key=value ...]`; a value with blanks stands in quotes");
    }
    let form = "a `:vars` section has `key=value`, without blanks around the `=`; a value with blanks stands in quotes";
    // As Ansible's inventories may have it.
    let is_ansibles = next.is_some_and(|next| next.text.starts_with('='));
    fault.hint(if is_ansibles {
        format!("{form}; an inventory of Ansible is read as such with -f ansible:{file}")
    } else {
        form.to_owned()
    })
}

/// The text between the brackets, with its column, if the line is a section and not a host such as `[::1]:22`.
pub(super) fn header(line: &str) -> Result<Option<(usize, &str)>, PieceError> {
    let trimmed = line.trim_start();
    let Some(inside) = trimmed.strip_prefix('[') else { return Ok(None) };
    let column = line[..line.len() - trimmed.len()].chars().count() + 1;
    let Some((name, after)) = inside.split_once(']') else {
        return Err(PieceError::new(column, "the section's `[` is not closed").hint("write `[primary]`"));
    };
    // `[::1]:22` and `[1-3].example.com` are hosts.
    let glued = !after.is_empty() && !after.starts_with(char::is_whitespace);
    if glued || is_address(name) {
        return Ok(None);
    }
    let after = after.trim_start();
    if after.is_empty() || after.starts_with('#') {
        return Ok(Some((column, name.trim())));
    }
    let column = line.chars().count() - after.chars().count() + 1;
    Err(PieceError::new(column, format!("text follows the section {}", quoted(&format!("[{}]", name.trim()))))
        .hint("hosts stand on the lines below it"))
}

/// Refuses groups that are not there, and groups that contain themselves.
pub(super) fn check_groups(source: &HostsSource) -> Result<(), (usize, PieceError)> {
    let groups = &source.groups;
    let defined = |name: &str| groups.get(name).is_some_and(|group| group.defined);
    let names = || groups.iter().filter(|(_, group)| group.defined).map(|(name, _)| name.as_str());
    let unknown = |name: &str, (line, column): (usize, usize)| {
        let fault = PieceError::new(column, format!("there is no group {}", quoted(name)));
        let is_host = || source.lines.iter().flat_map(|line| &line.specs).any(|spec| spec.host == name);
        let fault = match nearest(name, names()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None if is_host() => {
                fault.hint(format!("{} is a host: put it under a section without `:children`", quoted(name)))
            }
            None => fault.hint(format!("a group is made by a section: `[{}]`", harmless(name, 40))),
        };
        Err((line, fault))
    };
    for (name, group) in groups {
        for (child, place) in &group.children {
            if !defined(child) {
                return unknown(child, *place);
            }
        }
        if !group.defined && name != "all" {
            return unknown(name, group.at);
        }
    }
    match resolve::circle(groups) {
        Some((circle, (line, column))) => {
            let fault = PieceError::new(column, format!("groups contain each other: {}", circle.join(" > ")))
                .hint("take one of them out of its `:children` section");
            Err((line, fault))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
