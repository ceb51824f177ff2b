//! Names that may reach a shell, through `ProxyCommand` and `Match exec`: what OpenSSH refuses (CVE-2023-51385) is refused,
//! wherever a name comes from.

use crate::diagnostic::Diagnostic;

/// Signs with which a shell does more than read a name.
const SHELL: &str = "'`\";&<>|(){}";

/// A login name that ssh would take.
///
/// # Errors
/// When it would not.
pub(super) fn check_user(host: &str, user: &str) -> Result<(), Diagnostic> {
    let after_blank = |(at, c): (usize, char)| c.is_whitespace() && user[at + c.len_utf8()..].starts_with('-');
    let bad = user.starts_with('-')
        || user.ends_with('\\')
        || user.contains(|c: char| c.is_control() || SHELL.contains(c))
        || user.char_indices().any(after_blank);
    if bad { Err(refused(host, "login name", user)) } else { Ok(()) }
}

/// A host's name or address that ssh would take.
///
/// # Errors
/// When it would not.
pub(super) fn check_host(host: &str, name: &str) -> Result<(), Diagnostic> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || SHELL.contains(c) || "$\\".contains(c);
    if name.starts_with('-') || name.contains(bad) { Err(refused(host, "name or address", name)) } else { Ok(()) }
}

fn refused(host: &str, what: &str, name: &str) -> Diagnostic {
    let (host, name) = (host.escape_debug(), name.escape_debug());
    Diagnostic::usage(format!("host `{host}`: the {what} `{name}` could be more than a name to a shell"))
        .hint("ssh refuses it too: no quotes, backslashes, `;&<>|(){}` or control signs, and no `-` in front")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_hosts_as_openssh_takes_them() {
        for user in ["omm", "DOMAIN\\omm", "first last", "host$", "a.b-c_d@e", "k$HOME"] {
            assert!(check_user("n", user).is_ok(), "{user}");
        }
        for user in ["-oProxyCommand=x", "a;b", "`id`", "$(id)", "a b -c", "a\\", "a\nb", "a'b", "x${IFS}"] {
            assert!(check_user("n", user).is_err(), "{user}");
        }
        for name in ["db-1.example", "fe80::1%eth0", "10.0.0.1", "北京"] {
            assert!(check_host("n", name).is_ok(), "{name}");
        }
        for name in ["-x", "a b", "$HOME", "a`id`", "a\\b", "a|b"] {
            assert!(check_host("n", name).is_err(), "{name}");
        }
    }
}
