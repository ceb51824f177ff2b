//! `%h`, `~` and `${HOME}` in values of `ssh_config`.
//!
//! Pure text: what the tokens stand for is handed in, and nothing is looked up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What tokens stand for, for one host.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    /// `%n`: the name asked for.
    pub(super) original: &'a str,
    /// `%h`: the name to connect to.
    pub(super) host: &'a str,
    /// `%p`
    pub(super) port: u16,
    /// `%r`: the user on the host.
    pub(super) remote_user: &'a str,
    /// `%k`: the name in known hosts files.
    pub(super) key_alias: &'a str,
    /// `%u`
    pub(super) local_user: &'a str,
    /// `%i`
    pub(super) uid: u32,
    /// `%d` and `~`
    pub(super) home: &'a Path,
}

/// Tokens that ssh expands and gsctl does not.
const UNSUPPORTED: &str = "CfHIjKLlTt";

/// Whether every token of a value can be expanded. An error for one that ssh does not know either.
pub(super) fn check(text: &str) -> Result<bool, String> {
    let mut supported = true;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            match chars.next() {
                Some('%' | 'n' | 'h' | 'p' | 'r' | 'k' | 'u' | 'i' | 'd') => {}
                Some(token) if UNSUPPORTED.contains(token) => supported = false,
                Some(token) => return Err(format!("`%{token}` in `{text}` is no token")),
                None => return Err(format!("`{text}` ends in `%`; write `%%` for a percent sign")),
            }
        }
    }
    // What the environment has was put in before, but for HOME. `~name` would need the password database.
    let foreign_home = text.strip_prefix('~').is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    Ok(supported && !foreign_home && !text.replace("${HOME}", "").contains("${"))
}

/// A value with what the environment has for `${NAME}`; what it has not stays as it is.
pub(super) fn with_environment(text: &str, environment: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}').map(|length| start + length) else { break };
        out.push_str(&rest[..start]);
        match environment.get(&rest[start + 2..end]) {
            // A percent sign in it is no token.
            Some(value) => out.push_str(&value.replace('%', "%%")),
            None => out.push_str(&rest[start..=end]),
        }
        rest = &rest[end + 1..];
    }
    out + rest
}

/// Refuses tokens that `ProxyCommand` does not take.
pub(super) fn check_command(text: &str) -> Result<(), String> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            match chars.next() {
                Some('%' | 'h' | 'n' | 'p' | 'r') => {}
                Some(token) => {
                    return Err(format!("`%{token}` is no token of `ProxyCommand`: it takes %h %n %p %r %%"));
                }
                None => return Err(format!("`{text}` ends in `%`; write `%%` for a percent sign")),
            }
        }
    }
    Ok(())
}

/// Whether a command's tokens stand for something else on another host.
pub(super) fn depend_on_host(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' && !chars.next().is_some_and(|token| "%diLlu".contains(token)) {
            return true;
        }
    }
    false
}

/// Whether a value has no tokens but `%h` and `%%`, which are all that `HostName` takes.
pub(super) fn only_host(text: &str) -> bool {
    !text.replace("%%", "").replace("%h", "").contains('%')
}

/// `HostName` for a host.
pub(super) fn host_name(text: &str, original: &str) -> String {
    expand_with(text, |token| match token {
        'h' => Some(original.to_owned()),
        _ => None,
    })
}

impl Tokens<'_> {
    /// A path with its tokens, `~` and `${HOME}` expanded.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        if let Some(rest) = text.strip_prefix('~') {
            let rest = self.expand(rest);
            return self.home.join(rest.trim_start_matches('/'));
        }
        PathBuf::from(self.expand(&text.replace("${HOME}", &self.home.to_string_lossy().replace('%', "%%"))))
    }

    /// A command with its tokens expanded.
    pub(super) fn command(&self, text: &str) -> String {
        self.expand(text)
    }

    fn expand(&self, text: &str) -> String {
        expand_with(text, |token| {
            Some(match token {
                'n' => self.original.to_owned(),
                'h' => self.host.to_owned(),
                'p' => self.port.to_string(),
                'r' => self.remote_user.to_owned(),
                'k' => self.key_alias.to_owned(),
                'u' => self.local_user.to_owned(),
                'i' => self.uid.to_string(),
                'd' => self.home.to_string_lossy().into_owned(),
                _ => return None,
            })
        })
    }
}

fn expand_with(text: &str, value: impl Fn(char) -> Option<String>) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') | None => out.push('%'),
            // `check` has let no other token through.
            Some(token) => out.push_str(&value(token).unwrap_or_else(|| format!("%{token}"))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let tokens = Tokens {
            original: "db7",
            host: "10.0.0.7",
            port: 2222,
            remote_user: "omm",
            key_alias: "db7",
            local_user: "eva",
            uid: 1000,
            home: Path::new("/home/eva"),
        };
        for (text, want) in [
            ("~/.ssh/id_%n", "/home/eva/.ssh/id_db7"),
            ("%d/k/%r@%h:%p", "/home/eva/k/omm@10.0.0.7:2222"),
            ("/k/%u-%i-%k", "/k/eva-1000-db7"),
            ("/k/100%%", "/k/100%"),
            ("${HOME}/k", "/home/eva/k"),
            ("~", "/home/eva"),
            ("k", "k"),
        ] {
            assert_eq!(check(text), Ok(true), "{text}");
            assert_eq!(tokens.path(text), Path::new(want), "{text}");
        }
        assert_eq!(host_name("%h.example.com", "db7"), "db7.example.com");
        for text in ["%C", "/x/%l", "${XDG_CONFIG_HOME}/k", "~other/k"] {
            assert_eq!(check(text), Ok(false), "{text}");
        }
        let environment = BTreeMap::from([("DIR".to_owned(), "/100%/x".to_owned())]);
        let put_in = with_environment("${DIR}/${OTHER}/%h${DIR}${", &environment);
        assert_eq!(put_in, "/100%%/x/${OTHER}/%h/100%%/x${");
        assert_eq!(tokens.path(&put_in), Path::new("/100%/x/${OTHER}/10.0.0.7/100%/x${"));
        assert!(check("%z").is_err());
        assert!(check("100%").is_err());
    }
}
