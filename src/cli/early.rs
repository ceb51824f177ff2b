//! Options that may be repeated add up, before the command and after it.
//!
//! clap lets what stands after the command replace what stands before it: of `-x node3 stop -x node4` it would leave
//! node3 in. It is parsed a second time up to the command, for nothing but the options that are given more than once.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::config::{self, Defaults};
use super::{Cli, Options, peer_words, sudo_user};

/// The command line up to the command.
#[derive(Debug, Parser)]
#[command(name = "gsctl", disable_help_flag = true)]
struct Early {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    _rest: Rest,
}

#[derive(Debug, Subcommand)]
enum Rest {
    #[command(external_subcommand)]
    All(#[expect(dead_code, reason = "only clap needs to know where it goes")] Vec<OsString>),
}

/// The word behind `-h`, which is pssh's option for a hosts file.
#[must_use]
pub fn behind_h(words: &[OsString]) -> Option<&OsString> {
    let at = words.iter().position(|word| word == "-h")?;
    words.get(at + 1)
}

/// Reads the command line, with what stands in for the defaults of options.
///
/// # Errors
/// When it is not understood, or asks for help.
pub fn parse(words: &[OsString], defaults: &Defaults) -> Result<Cli, clap::Error> {
    sudo_user::check(words)?;
    let mut command = config::with(defaults);
    let words = &super::order::command_first(words, &command);
    let may_add_up = has_options_behind(words, &command);
    let mut narrow = config::narrowed(&command, words);
    let parsed = match narrow.as_mut().map(|narrow| config::parse(words, defaults, narrow)) {
        Some(Ok(cli)) => Ok(cli),
        // Its words are about the whole.
        _ => config::parse(words, defaults, &mut command),
    };
    // To free their thousands of pieces takes as long as to read the command line, and they are needed once.
    std::mem::forget((command, narrow));
    let mut cli = parsed.map_err(|error| peer_words::explain(error, words))?;
    if !may_add_up {
        return Ok(cli);
    }
    let Ok(matches) = Early::command().try_get_matches_from(words) else { return Ok(cli) };
    let Ok(Early { options: early, .. }) = Early::from_arg_matches(&matches) else { return Ok(cli) };
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let all = &mut cli.options;
    add(typed("hosts_file"), &mut all.hosts.hosts_file, early.hosts.hosts_file);
    add(typed("hosts"), &mut all.hosts.hosts, early.hosts.hosts);
    add(typed("group"), &mut all.hosts.group, early.hosts.group);
    add(typed("intersect"), &mut all.hosts.intersect, early.hosts.intersect);
    add(typed("exclude"), &mut all.hosts.exclude, early.hosts.exclude);
    add(typed("identity"), &mut all.ssh.identity, early.ssh.identity);
    add(typed("ssh_option"), &mut all.ssh.ssh_option, early.ssh.ssh_option);
    Ok(cli)
}

/// Whether something that looks like an option stands behind the first word that is the name of a command, be that the command or
/// an option's value before it.
fn has_options_behind(words: &[OsString], gsctl: &clap::Command) -> bool {
    let mut behind = words.iter().skip(1).skip_while(|word| gsctl.find_subcommand(word).is_none());
    behind.any(|word| word.as_encoded_bytes().starts_with(b"-"))
}

/// Puts what was typed before the command in front, unless it is all there is.
fn add<T: PartialEq>(typed: bool, all: &mut Vec<T>, mut early: Vec<T>) {
    if typed && *all != early {
        early.append(all);
        *all = early;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn excluded(words: &str, want: &[&str]) {
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        assert_eq!(parse(&words, &[]).unwrap().options.hosts.exclude, want);
    }

    #[test]
    fn options_add_up_wherever_they_stand() {
        excluded("gsctl ping", &[]);
        excluded("gsctl -x a ping", &["a"]);
        excluded("gsctl ping -x a", &["a"]);
        excluded("gsctl -x a ping -x b", &["a", "b"]);
        excluded("gsctl -x a -vv --exclude=b exec -x c -x d true -x e", &["a", "b", "c", "d"]);
        excluded("gsctl -p 22 -x a check -x b --port 1", &["a", "b"]);
    }

    #[test]
    fn what_one_command_alone_takes_all_of_them_take_in_the_same_way() {
        let defaults = [("fanout".to_owned(), vec!["7".to_owned()]), ("port".to_owned(), vec!["2222".to_owned()])];
        for (line, by_one) in [
            ("gsctl ping", true),
            ("gsctl -w a,b -q exec -x c -- ls -l", true),
            ("gsctl -wa start --wait 5s --system greenplum", true),
            ("gsctl check --port 5", true),
            ("gsctl runs merge a b", true),
            ("gsctl --fanout 9 -p 1 wait --port 5", true),
            // A value that is the name of a command, or no command at all: the whole has to say what is wrong.
            ("gsctl -w ping exec id", false),
            ("gsctl -w ping", false),
            ("gsctl exec", false),
            ("gsctl ping --help", false),
            ("gsctl ping --version", false),
            ("gsctl pingg", false),
            ("gsctl --frobnicate ping", false),
            ("gsctl", false),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let mut whole = config::with(&defaults);
            let narrow = config::narrowed(&whole, &words);
            let narrow = narrow.and_then(|mut narrow| config::parse(&words, &defaults, &mut narrow).ok());
            assert_eq!(narrow.is_some(), by_one, "{line}");
            if let Some(narrow) = narrow {
                let whole = config::parse(&words, &defaults, &mut whole).unwrap();
                assert_eq!(format!("{narrow:?}"), format!("{whole:?}"), "{line}");
            }
        }
    }

    #[test]
    fn every_option_that_is_given_more_than_once_is_added_up() {
        let source = include_str!("early.rs");
        for arg in Cli::command().get_arguments().filter(|arg| matches!(arg.get_action(), clap::ArgAction::Append)) {
            let line = format!("add(typed(\"{}\")", arg.get_id());
            assert!(source.contains(&line), "`{}` is lost when it stands on both sides of the command", arg.get_id());
        }
    }
}
