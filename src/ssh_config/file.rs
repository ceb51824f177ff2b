//! Reads `ssh_config` files, and `-o` options, into blocks of settings.
//!
//! It opens files and follows `Include`; it resolves nothing: which block is for which host is seen later.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arguments;
use super::arguments::Word;
use super::criterion::{MatchCriterion, MatchSubject};
use super::glob::{Found, glob};
use super::keywords::{self, Keyword};
use super::origin::{Origin, SourceLine};
use super::value::{ConfigValue, LineMeaning, meaning};
use super::{ConfigError, Impossible, Unhonoured, tokens};
use crate::credentials::known_hosts::pattern::matches_list;
use crate::text::is_absent;
use crate::transport::algorithms::AlgorithmKind;

/// As deep as ssh follows `Include`.
const MAX_DEPTH: usize = 16;

/// Keywords whose values may name variables of the environment.
const WITH_ENVIRONMENT: [&str; 4] = ["CertificateFile", "IdentityAgent", "IdentityFile", "UserKnownHostsFile"];

/// Settings under the same conditions.
#[derive(Debug)]
pub(super) struct Block {
    /// All must hold. An included file stands under those of the `Include` too.
    pub(super) conditions: Vec<Condition>,
    pub(super) entries: Vec<Entry>,
}

/// What a line comes to, and the line.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) said: Arc<SourceLine>,
    pub(super) item: Item,
}

#[derive(Debug, Clone)]
pub(super) enum Item {
    Set(ConfigValue),
    Off(&'static str),
    Unhonoured(Arc<Unhonoured>),
    /// No host that it is for can be connected to, unless the choice of such algorithms was made before.
    Impossible(Option<AlgorithmKind>, Arc<Impossible>),
}

impl Item {
    /// Whether it says who to log in as, where, or through what.
    pub(super) fn is_about_one_host(&self) -> bool {
        matches!(
            self,
            Self::Set(
                ConfigValue::User(_)
                    | ConfigValue::Port(_)
                    | ConfigValue::HostName(_)
                    | ConfigValue::HostKeyAlias(_)
                    | ConfigValue::Proxy(_)
            )
        )
    }
}

/// A `Host` or `Match` line.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// Which of all such lines.
    pub(super) id: usize,
    pub(super) origin: Origin,
    pub(super) test: MatchTest,
}

#[derive(Debug, Clone)]
pub(super) enum MatchTest {
    /// `Host`: patterns for the name asked for.
    Host(Vec<String>),
    /// `Match`: all must hold.
    Match(Vec<MatchCriterion>),
}

/// Which folder a relative `Include` starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileOwner {
    User,
    System,
}

/// Collects blocks from options and files, in the order in which they win.
#[derive(Debug)]
pub(super) struct FileReader<'a> {
    pub(super) home: &'a Path,
    environment: &'a BTreeMap<String, String>,
    pub(super) blocks: Vec<Block>,
    pub(super) warnings: Vec<Warning>,
    /// Every word of every `Host` line.
    pub(super) names: Vec<String>,
    warned: HashSet<String>,
    ignore_unknown: Vec<String>,
    /// Whether something may have to be asked of ssh.
    pub(super) asks: bool,
    /// Whether a `Match final` asks for a second reading.
    pub(super) twice: bool,
    conditions: usize,
    /// True when the next item stands under other conditions than the last one.
    fresh: bool,
}

impl<'a> FileReader<'a> {
    pub(super) fn new(home: &'a Path, environment: &'a BTreeMap<String, String>) -> Self {
        Self {
            home,
            environment,
            blocks: Vec::new(),
            warnings: Vec::new(),
            names: Vec::new(),
            warned: HashSet::new(),
            ignore_unknown: Vec::new(),
            asks: false,
            twice: false,
            conditions: 0,
            fresh: true,
        }
    }

    /// Takes in one `-o` option. Here what cannot be honoured is an error: whoever typed it wants it.
    pub(super) fn option(&mut self, option: &str) -> Result<(), ConfigError> {
        let wrong =
            |message: String, hint: Option<String>| ConfigError::Option { option: option.to_owned(), message, hint };
        let (keyword, arguments) = split(option)
            .map_err(|message| wrong(message.to_owned(), None))?
            .ok_or_else(|| wrong("is empty".into(), Some("write `-o KEY=VALUE`".into())))?;
        let name = keywords::find(&keyword).map_or(keyword.as_str(), |(name, _)| name);
        let line = ConfigLine { keyword: &keyword, arguments: &arguments, origin: Origin::Option };
        match self.meaning(&keyword, &arguments).map_err(|message| wrong(message, None))? {
            LineMeaning::Set(setting) => self.add(&[], &line, Item::Set(setting)),
            LineMeaning::SetWith(setting, note) => {
                self.warn(name, WarningScope::Everything, format!("ssh option `{option}`: {note}"));
                self.add(&[], &line, Item::Set(setting));
            }
            LineMeaning::Nothing => {}
            LineMeaning::Off(name) => self.add(&[], &line, Item::Off(name)),
            LineMeaning::Structure(Keyword::IgnoreUnknown) => self.ignore(&arguments),
            LineMeaning::Structure(_) => {
                let hint = "put it into a file and name that with `-F`".to_owned();
                return Err(wrong(format!("`{name}` has its place in a file only"), Some(hint)));
            }
            LineMeaning::Impossible(_, message) => return Err(wrong(message, None)),
            LineMeaning::Unsupported => {
                return Err(wrong(format!("gsctl cannot honour `{name}` yet"), Some(keywords::hint(name).into())));
            }
            LineMeaning::Unknown if self.ignored(&keyword) => {}
            LineMeaning::Unknown => {
                let hint = keywords::nearest(&keyword).map(|near| format!("did you mean `{near}`?"));
                return Err(wrong(format!("`{keyword}` is no ssh option"), hint));
            }
        }
        Ok(())
    }

    /// Takes in the user's own file, which others must not be able to write, as ssh demands.
    pub(super) fn user_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        match fs::metadata(path) {
            Ok(metadata) => {
                let ours = metadata.uid() == 0 || metadata.uid() == rustix::process::getuid().as_raw();
                if !ours || metadata.mode() & 0o022 != 0 {
                    return Err(ConfigError::Permissions { file: path.to_owned(), mode: metadata.mode() & 0o7777 });
                }
                self.file(path, FileOwner::User)
            }
            Err(error) if is_absent(&error) => Ok(()),
            Err(source) => Err(ConfigError::Unreadable { file: path.to_owned(), source }),
        }
    }

    /// Takes in a file and what it includes.
    pub(super) fn file(&mut self, path: &Path, owner: FileOwner) -> Result<(), ConfigError> {
        self.nested(path, owner, &[], 0)
    }

    fn nested(&mut self, path: &Path, owner: FileOwner, outer: &[Condition], depth: usize) -> Result<(), ConfigError> {
        let bytes = fs::read(path).map_err(|source| ConfigError::Unreadable { file: path.to_owned(), source })?;
        let file: Arc<Path> = path.into();
        let mut conditions = outer.to_vec();
        self.fresh = true;
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.contains(&0) {
            return Err(ConfigError::Encoding { file: path.to_owned() });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        for (number, line) in String::from_utf8_lossy(bytes).lines().enumerate() {
            let place = ConfigPlace { file: &file, line: number + 1 };
            let Some((keyword, arguments)) = split(line).map_err(|message| place.wrong(message))? else {
                continue;
            };
            let origin = place.origin();
            let said = ConfigLine { keyword: &keyword, arguments: &arguments, origin: origin.clone() };
            match self.meaning(&keyword, &arguments).map_err(|message| place.wrong(message))? {
                LineMeaning::Set(setting) => self.add(&conditions, &said, Item::Set(setting)),
                LineMeaning::SetWith(setting, note) => {
                    self.warn(&keyword, WarningScope::Everything, format!("{place}: {note}"));
                    self.add(&conditions, &said, Item::Set(setting));
                }
                LineMeaning::Nothing => {}
                LineMeaning::Off(name) => self.add(&conditions, &said, Item::Off(name)),
                LineMeaning::Impossible(kind, message) => {
                    let what = Impossible { origin, message, hint: None };
                    self.add(&conditions, &said, Item::Impossible(kind, Arc::new(what)));
                }
                LineMeaning::Unsupported => {
                    let name = keywords::find(&keyword).map_or(keyword.as_str(), |(name, _)| name);
                    let text = format!("{place}: gsctl cannot honour `{name}` yet; {}", keywords::hint(name));
                    self.warn(name, WarningScope::SomeHosts, text);
                    self.add(&conditions, &said, Item::Unhonoured(place.unhonoured(name, &arguments)));
                }
                LineMeaning::Unknown if self.ignored(&keyword) => {}
                LineMeaning::Unknown => {
                    // Newer and patched versions of ssh have keywords of their own, so this is no error here.
                    let near = keywords::nearest(&keyword).map(|near| format!("; did you mean `{near}`?"));
                    let text = format!("{place}: `{keyword}` is unknown{}", near.unwrap_or_default());
                    self.warn(&keyword, WarningScope::Everything, text);
                }
                LineMeaning::Structure(Keyword::Host) => {
                    self.names.extend(arguments.iter().cloned());
                    conditions = self.under(outer, origin, MatchTest::Host(arguments));
                }
                LineMeaning::Structure(Keyword::Match) => {
                    let words = Word::all(arguments::rest(line)).map_err(|message| place.wrong(message))?;
                    let criteria = MatchCriterion::parse(&words).map_err(|message| place.wrong(message))?;
                    self.asks |= criteria.iter().any(|criterion| matches!(criterion.subject, MatchSubject::Asked(_)));
                    // It asks for a second reading wherever it stands, as in ssh: also where the line does not hold.
                    self.twice |= criteria.iter().any(|criterion| criterion.subject == MatchSubject::Final);
                    conditions = self.under(outer, origin, MatchTest::Match(criteria));
                }
                LineMeaning::Structure(Keyword::Include) => {
                    for pattern in &arguments {
                        self.include(pattern, owner, &conditions, depth, &place)?;
                    }
                    self.fresh = true;
                }
                LineMeaning::Structure(_) => self.ignore(&arguments),
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        pattern: &str,
        owner: FileOwner,
        conditions: &[Condition],
        depth: usize,
        place: &ConfigPlace<'_>,
    ) -> Result<(), ConfigError> {
        if depth + 1 >= MAX_DEPTH {
            return Err(place.wrong("`Include` goes round in a circle, or 16 files deep"));
        }
        let Some(full) = self.included(pattern, owner) else {
            let text = format!("{place}: `Include {pattern}`: there is no such user, so nothing is included");
            self.warn(&format!("Include {pattern}"), WarningScope::Everything, text);
            return Ok(());
        };
        match glob(&full.to_string_lossy()) {
            Found::Files(files) => files.iter().try_for_each(|file| self.nested(file, owner, conditions, depth + 1)),
            Found::NotUnderstood => {
                let text =
                    format!("{place}: `Include {pattern}`: gsctl does not know this pattern; nothing is included");
                self.warn(&format!("Include {pattern}"), WarningScope::Everything, text);
                Ok(())
            }
        }
    }

    /// The whole path of an `Include`. `None`: it begins with a user that is not there.
    fn included(&self, pattern: &str, owner: FileOwner) -> Option<PathBuf> {
        if let Some(rest) = pattern.strip_prefix('~') {
            let (user, rest) = rest.split_once('/').unwrap_or((rest, ""));
            let home = if user.is_empty() { self.home.to_owned() } else { crate::account::home_of(user)? };
            return Some(home.join(rest));
        }
        let folder = match owner {
            FileOwner::System => PathBuf::from("/etc/ssh"),
            FileOwner::User => self.home.join(".ssh"),
        };
        Some(folder.join(pattern))
    }

    /// What a line says, with what the environment has for `${NAME}`.
    fn meaning(&self, keyword: &str, arguments: &[String]) -> Result<LineMeaning, String> {
        if !WITH_ENVIRONMENT.iter().any(|name| name.eq_ignore_ascii_case(keyword)) {
            return meaning(keyword, arguments);
        }
        let put_in = |text: &String| tokens::with_environment(text, self.environment);
        meaning(keyword, &arguments.iter().map(put_in).collect::<Vec<_>>())
    }

    /// The conditions of a new block.
    fn under(&mut self, outer: &[Condition], origin: Origin, test: MatchTest) -> Vec<Condition> {
        self.fresh = true;
        self.conditions += 1;
        let own = Condition { id: self.conditions, origin, test };
        outer.iter().cloned().chain([own]).collect()
    }

    fn add(&mut self, conditions: &[Condition], line: &ConfigLine<'_>, item: Item) {
        self.asks |= matches!(item, Item::Set(ConfigValue::Canonical));
        let entry = Entry { said: Arc::new(line.said()), item };
        match self.blocks.last_mut() {
            Some(block) if !self.fresh => block.entries.push(entry),
            _ => self.blocks.push(Block { conditions: conditions.to_vec(), entries: vec![entry] }),
        }
        self.fresh = false;
    }

    fn warn(&mut self, keyword: &str, about: WarningScope, text: String) {
        if self.warned.insert(keyword.to_ascii_lowercase()) {
            self.warnings.push(Warning { about, text });
        }
    }

    fn ignore(&mut self, arguments: &[String]) {
        let patterns = arguments.iter().flat_map(|list| list.split(',')).map(str::to_ascii_lowercase);
        self.ignore_unknown.extend(patterns);
    }

    fn ignored(&self, keyword: &str) -> bool {
        matches_list(&self.ignore_unknown, &keyword.to_ascii_lowercase())
    }
}

/// Something that is worth saying about a file or an option.
#[derive(Debug)]
pub(super) struct Warning {
    pub(super) about: WarningScope,
    pub(super) text: String,
}

/// Whom a warning concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WarningScope {
    /// Whoever uses the file.
    Everything,
    /// Hosts to which the line applies; each of them knows it as [`Unhonoured`].
    SomeHosts,
}

/// A keyword with its arguments, and where they stand.
struct ConfigLine<'a> {
    keyword: &'a str,
    arguments: &'a [String],
    origin: Origin,
}

impl ConfigLine<'_> {
    fn said(&self) -> SourceLine {
        // What is no keyword comes to nothing, and is not kept.
        let keyword = match keywords::find(self.keyword).map_or("", |(name, _)| name) {
            // Two old names of it.
            "ChallengeResponseAuthentication" | "KeyboardInteractiveAuthentication" => "KbdInteractiveAuthentication",
            name => name,
        };
        SourceLine { keyword, value: self.arguments.join(" "), origin: self.origin.clone() }
    }
}

/// A line of a file, for messages.
struct ConfigPlace<'a> {
    file: &'a Arc<Path>,
    line: usize,
}

impl std::fmt::Display for ConfigPlace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ssh config `{}`, line {}", self.file.display(), self.line)
    }
}

impl ConfigPlace<'_> {
    fn wrong(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::Line { file: self.file.to_path_buf(), line: self.line, message: message.into() }
    }

    fn origin(&self) -> Origin {
        Origin::Line { file: self.file.clone(), line: self.line }
    }

    fn unhonoured(&self, keyword: &str, arguments: &[String]) -> Arc<Unhonoured> {
        Arc::new(Unhonoured {
            keyword: keyword.to_owned(),
            value: arguments.join(" "),
            file: self.file.to_path_buf(),
            line: self.line,
        })
    }
}

/// A line's keyword and arguments; of a command, the line as it stands, and of jump hosts the words with their quotes.
fn split(line: &str) -> Result<Option<(String, Vec<String>)>, &'static str> {
    let first = line.trim_start().split(|c: char| c.is_whitespace() || c == '=').next().unwrap_or_default();
    if first.eq_ignore_ascii_case("ProxyCommand") {
        let rest = arguments::rest(line);
        let arguments = if rest.is_empty() { Vec::new() } else { vec![rest.to_owned()] };
        return Ok(Some((first.to_owned(), arguments)));
    }
    if first.eq_ignore_ascii_case("ProxyJump") {
        let words = Word::all(arguments::rest(line))?;
        return Ok(Some((first.to_owned(), words.iter().map(|word| word.raw.to_owned()).collect())));
    }
    arguments::split(line)
}
