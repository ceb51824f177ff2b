//! Secrets of the user: asked for on the terminal, or read from a file. Never kept anywhere but in memory.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::SecretString;
use zeroize::{Zeroize as _, Zeroizing};

use crate::cli::{Options, SudoPassword};

use super::signals;
use crate::diagnostic::Diagnostic;

/// No password is longer; a file that is was not meant.
const MAX_LEN: u64 = 4096;

/// Keeps what is in memory out of core dumps, whoever collects them: keys and passwords are read from here on.
pub(super) fn keep_out_of_core_dumps() {
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    let _ = setrlimit(Resource::Core, none);
    // A program that the kernel hands dumps to is not asked for the limit.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Asks on the terminal, without echo. Standard input may be something else.
///
/// # Errors
/// When there is no terminal to ask on, or nothing is typed.
pub(super) fn ask(prompt: &str) -> Result<SecretString, Diagnostic> {
    let what = prompt.trim_end_matches([' ', ':']);
    let typed = signals::with_echo_off(|| rpassword::prompt_password(prompt)).map_err(|error| {
        Diagnostic::usage(match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("`{what}`: the terminal was closed before an answer came"),
            _ => format!("`{what}`: there is no terminal to ask on"),
        })
    })?;
    if typed.is_empty() {
        return Err(Diagnostic::usage(format!("`{what}`: nothing was typed")));
    }
    Ok(typed.into())
}

/// The password to log in with, where the user wants to give one.
///
/// # Errors
/// When there is no terminal to ask on, or the file cannot be used.
pub(super) fn login(options: &Options) -> Result<Option<SecretString>, Diagnostic> {
    if options.ssh.ask_password {
        let hint = "give it in a file that only you can read: --password-file FILE";
        return ask("Password for the hosts: ").map(Some).map_err(|diagnostic| diagnostic.hint(hint));
    }
    let Some(path) = &options.ssh.password_file else { return Ok(None) };
    let stdin = Path::new("-");
    if path == stdin && options.hosts.hosts_file.iter().any(|file| file == stdin) {
        return Err(Diagnostic::usage("`--password-file -` and `--hosts-file -` cannot both read standard input"));
    }
    from_file(path).map(Some)
}

/// The password for sudo on the hosts, where the user wants to give one.
///
/// # Errors
/// When there is no terminal to ask on, or the file cannot be used.
pub(super) fn sudo(given: &SudoPassword, options: &Options) -> Result<Option<SecretString>, Diagnostic> {
    if given.ask_sudo_password {
        let hint = "give it in a file that only you can read: --sudo-password-file FILE";
        return ask("Password for sudo on the hosts: ").map(Some).map_err(|diagnostic| diagnostic.hint(hint));
    }
    let Some(path) = &given.sudo_password_file else { return Ok(None) };
    let stdin = Path::new("-");
    let login = options.ssh.password_file.as_deref();
    if path == stdin && (login == Some(stdin) || options.hosts.hosts_file.iter().any(|file| file == stdin)) {
        return Err(Diagnostic::usage("`--sudo-password-file -` is not the only one that reads standard input")
            .hint("put one of them into a file"));
    }
    from_file(path).map(Some)
}

/// Asks for the passphrase of a key; `None` when there is no terminal to ask on.
pub(super) fn passphrase(key: &Path) -> Option<Zeroizing<String>> {
    let prompt = format!("Passphrase for key {}: ", key.display());
    signals::with_echo_off(|| rpassword::prompt_password(prompt)).ok().map(Zeroizing::new)
}

/// Reads the first line of a file; `-` is standard input, of which only that line is read.
///
/// # Errors
/// When the file cannot be read, others can read it too, or it has nothing in its first line.
pub(super) fn from_file(path: &Path) -> Result<SecretString, Diagnostic> {
    let name = path.display();
    let diagnostic = |error: &io::Error| Diagnostic::usage(format!("password file `{name}`: {error}"));
    let line = if path == Path::new("-") {
        first_line(io::stdin().lock()).map_err(|error| diagnostic(&error))?
    } else {
        let file = File::open(path).map_err(|error| diagnostic(&error))?;
        let metadata = file.metadata().map_err(|error| diagnostic(&error))?;
        if metadata.is_dir() {
            return Err(Diagnostic::usage(format!("password file `{name}` is a folder")));
        }
        let mode = metadata.mode() & 0o777;
        // Write access to it, or to its folder, can only make a login fail.
        if mode & 0o044 != 0 {
            return Err(Diagnostic::usage(format!("password file `{name}` has mode {mode:03o}: others can read it"))
                .hint(format!("chmod 600 {}", crate::plan::quote::quote(&name.to_string()))));
        }
        first_line(file).map_err(|error| diagnostic(&error))?
    };
    let text = std::str::from_utf8(&line)
        .map_err(|_| Diagnostic::usage(format!("password file `{name}`: its first line is not UTF-8")))?;
    if text.is_empty() {
        return Err(Diagnostic::usage(format!("password file `{name}`: its first line is empty"))
            .hint("the password stands alone in the first line"));
    }
    Ok(text.into())
}

/// Byte by byte: what comes after the line is the command's input, and a buffer would keep a copy of it.
fn first_line(from: impl io::Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once, so that no copy is left behind in memory.
    let mut line = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_LEN).unwrap_or(0) + 1));
    let mut from = from.take(MAX_LEN + 1);
    let mut byte = [0];
    while from.read(&mut byte)? == 1 && byte != [b'\n'] {
        line.push(byte[0]);
    }
    byte.zeroize();
    if line.len() > usize::try_from(MAX_LEN).unwrap_or(usize::MAX) {
        return Err(io::Error::other(format!("its first line is longer than {MAX_LEN} bytes")));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret;

    use super::*;

    #[track_caller]
    fn case(text: &[u8], mode: u32, want: Result<&str, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let found =
            from_file(&path).map_err(|diagnostic| diagnostic.to_string().replace(&path.display().to_string(), "PATH"));
        let found = found.as_ref().map(ExposeSecret::expose_secret).map_err(String::as_str);
        assert_eq!(found, want, "{text:?} {mode:o}");
    }

    #[test]
    fn the_first_line_of_a_file_that_nobody_else_can_read() {
        for text in ["open sesame", "open sesame\n", "open sesame\r\n", "open sesame\nmore\n"] {
            case(text.as_bytes(), 0o600, Ok("open sesame"));
        }
        case(b" kept as it is \n", 0o400, Ok(" kept as it is "));
        let hint = "hint: the password stands alone in the first line";
        for text in [&b""[..], b"\n", b"\r\n", b"\nsecond\n"] {
            case(text, 0o600, Err(&format!("password file `PATH`: its first line is empty\n{hint}")));
        }
        case(b"\xff\n", 0o600, Err("password file `PATH`: its first line is not UTF-8"));
        case(&[b'x'; 5000], 0o600, Err("password file `PATH`: its first line is longer than 4096 bytes"));
        for mode in [0o644, 0o640, 0o604] {
            let text = format!("password file `PATH` has mode {mode:o}: others can read it\nhint: chmod 600 PATH");
            case(b"x\n", mode, Err(&text));
        }
    }

    #[test]
    fn files_that_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| from_file(path).unwrap_err().message;
        assert!(said(folder.path()).ends_with("is a folder"));
        assert!(said(&folder.path().join("none")).contains("none`: No such file"));
    }
}
