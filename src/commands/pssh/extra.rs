//! `-x` and `-X`: arguments for the ssh or scp that pssh starts. gsctl starts none, so it does what they mean itself.

use crate::plan::quote::split;

use crate::diagnostic::Diagnostic;

/// What more arguments come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extra {
    /// Options as in `ssh_config`.
    pub(super) options: Vec<String>,
    /// Another `ssh_config` file.
    pub(super) config: Option<String>,
    /// scp's -r.
    pub(super) recursive: bool,
}

/// All extra arguments in words.
///
/// # Errors
/// When quotes do not match.
pub(super) fn words(args: &[String], more: &[String]) -> Result<Vec<String>, Diagnostic> {
    let mut words = Vec::new();
    for text in args {
        let split = split(text).ok_or_else(|| Diagnostic::usage(format!("`-x {text}`: a quote has no other end")))?;
        words.extend(split);
    }
    words.extend_from_slice(more);
    Ok(words)
}

/// What the words mean to ssh, or to scp.
///
/// # Errors
/// When one cannot be honoured.
pub(super) fn read(words: &[String], is_scp: bool) -> Result<Extra, Diagnostic> {
    let mut extra = Extra::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let wrong = |said: &str| {
            let program = if is_scp { "scp" } else { "ssh" };
            Diagnostic::usage(format!("`{word}` for {program}, in `-x` or `-X`: {said}"))
                .hint("say it as `-O KEY=VALUE`, or in ssh_config")
        };
        let mut letters = word.strip_prefix('-').ok_or_else(|| wrong("gsctl takes options there, no names"))?.chars();
        while let Some(letter) = letters.next() {
            let key = match (letter, is_scp) {
                ('C', _) => {
                    extra.options.push("Compression=yes".to_owned());
                    continue;
                }
                ('4', _) => {
                    extra.options.push("AddressFamily=inet".to_owned());
                    continue;
                }
                ('6', _) => {
                    extra.options.push("AddressFamily=inet6".to_owned());
                    continue;
                }
                ('r', true) => {
                    extra.recursive = true;
                    continue;
                }
                // Times and modes are kept always; what else it is about is not there: terminal, forwarding, chatter.
                ('q' | 'v', _) | ('p' | 'B' | 'O' | 's', true) | ('T' | 'n' | 'x' | 'a' | 'k', false) => continue,
                ('o', _) => None,
                ('i', _) => Some("IdentityFile"),
                ('J', _) => Some("ProxyJump"),
                ('l', false) => Some("User"),
                ('p', false) | ('P', true) => Some("Port"),
                ('F', _) => Some("-F"),
                _ => return Err(wrong("gsctl starts no such program and cannot do that itself")),
            };
            let rest = letters.as_str();
            let value = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
            let value = value.filter(|value| !value.is_empty()).ok_or_else(|| wrong("a value is missing"))?;
            match key {
                None => extra.options.push(value),
                Some("-F") => extra.config = Some(value),
                Some(key) => extra.options.push(format!("{key}={value}")),
            }
            break;
        }
    }
    Ok(extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn what_they_mean() {
        let words = words(&owned(&["-o 'User=a b' -C", "-qi \"my key\""]), &owned(&["-p", "2222"])).unwrap();
        assert_eq!(words, ["-o", "User=a b", "-C", "-qi", "my key", "-p", "2222"]);
        let extra = read(&words, false).unwrap();
        assert_eq!(extra.options, ["User=a b", "Compression=yes", "IdentityFile=my key", "Port=2222"]);
        let extra = read(&owned(&["-rpP2222", "-Fnone"]), true).unwrap();
        let want = Extra { options: owned(&["Port=2222"]), config: Some("none".to_owned()), recursive: true };
        assert_eq!(extra, want);
        for bad in [&["-t"][..], &["host"], &["-p"], &["-L", "1:a:2"]] {
            assert!(read(&owned(bad), false).is_err(), "{bad:?}");
        }
        assert!(super::words(&owned(&["'"]), &[]).is_err());
    }
}
