//! Options of a command may stand before it: `gsctl --system greenplum status`.
//!
//! clap knows the options of a command only behind its name. They are moved there, where the line can be understood no other way.

use std::ffi::OsString;

use clap::{Arg, Command};

/// The words with the command's own options behind its name; as they are where there are none, or something else is wrong
/// with them, which clap says best.
pub(super) fn command_first(words: &[OsString], gsctl: &Command) -> Vec<OsString> {
    rearranged(words, gsctl).unwrap_or_else(|| words.to_vec())
}

fn rearranged(words: &[OsString], gsctl: &Command) -> Option<Vec<OsString>> {
    let mut kept = vec![words.first()?.clone()];
    let mut moved: Vec<OsString> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        let text = word.to_str()?;
        let own = option(gsctl, text);
        let foreign = || gsctl.get_subcommands().find_map(|command| option(command, text));
        let (arg, line) = match (own, text.strip_prefix("--")) {
            (Some(arg), _) => (arg, &mut kept),
            (None, Some(name)) if !name.is_empty() => {
                names.push(text.split('=').next().unwrap_or(text).to_owned());
                (foreign()?, &mut moved)
            }
            // A letter alone, without a value: `-S`.
            (None, None) if text.starts_with('-') && text.len() == 2 => {
                names.push(text.to_owned());
                (foreign().filter(|arg| !takes_value(arg))?, &mut moved)
            }
            (None, _) if text.starts_with('-') => return None,
            (None, _) => {
                let command = gsctl.find_subcommand(text)?;
                if moved.is_empty() || !names.iter().all(|name| option(command, name).is_some()) {
                    return None;
                }
                kept.push(word.clone());
                kept.append(&mut moved);
                kept.extend(rest.cloned());
                return Some(kept);
            }
        };
        line.push(word.clone());
        if wants_next_word(arg, text) {
            line.push(rest.next()?.clone());
        }
    }
    None
}

/// The option that a word is, or for short ones that it begins with or ends in.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let mut all = command.get_arguments();
    if let Some(name) = word.strip_prefix("--") {
        let name = name.split('=').next().unwrap_or(name);
        return all
            .find(|arg| arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|all| all.contains(&name)));
    }
    // `-qw NAME`: the first that takes a value, else the last.
    let mut found = None;
    for letter in word.strip_prefix('-')?.chars() {
        found = Some(command.get_arguments().find(|arg| arg.get_short() == Some(letter))?);
        if found.is_some_and(takes_value) {
            break;
        }
    }
    found
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn wants_next_word(arg: &Arg, word: &str) -> bool {
    if !takes_value(arg) || arg.is_require_equals_set() {
        return false;
    }
    match word.strip_prefix("--") {
        Some(name) => !name.contains('='),
        None => arg
            .get_short()
            .is_some_and(|letter| word.ends_with(letter) && word.find(letter) == Some(word.len() - letter.len_utf8())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: &str) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let found = command_first(&words, &crate::cli::command());
        let found: Vec<_> = found.iter().map(|word| word.to_string_lossy()).collect();
        assert_eq!(found.join(" "), want);
    }

    #[test]
    fn options_of_a_command_may_stand_before_it() {
        check("gsctl --system greenplum status", "gsctl status --system greenplum");
        check("gsctl --system=greenplum -f hosts status -q", "gsctl -f hosts status --system=greenplum -q");
        check(
            "gsctl -qw a --wait 5s --accept degraded start --force",
            "gsctl -qw a start --wait 5s --accept degraded --force",
        );
        check("gsctl -wa --force start", "gsctl -wa start --force");
        check("gsctl -S -wa exec id", "gsctl -wa exec -S id");
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for line in [
            "gsctl status --system greenplum",
            "gsctl --system greenplum",
            "gsctl --sytem greenplum status",
            "gsctl --system greenplum ping",
            "gsctl --mode fast start",
            "gsctl -S ping",
            "gsctl -qS exec id",
            "gsctl -f hosts exec -- --system x",
            "gsctl -- --system greenplum status",
            "gsctl",
        ] {
            check(line, line);
        }
    }
}
