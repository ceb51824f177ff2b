//! `cm_ctl`: the sub-commands that gsctl asks, with their exit codes.

mod check;
mod query;
mod switchover;
mod view;

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::home::{Home, own_home, refuses_user};

/// What a sub-command prints, and its exit code. CM prints its errors on stdout (measured 1.1).
struct Answer {
    stdout: String,
    stderr: String,
    code: u8,
}

impl Answer {
    fn ok(stdout: String) -> Self {
        Self { stdout, stderr: String::new(), code: 0 }
    }

    fn silent(code: u8) -> Self {
        Self { stdout: String::new(), stderr: String::new(), code }
    }

    fn error(code: u8, stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), stderr: String::new(), code }
    }

    fn refused(code: u8, stderr: &str) -> Self {
        Self { stdout: String::new(), stderr: stderr.to_owned(), code }
    }
}

/// Does one sub-command.
pub(crate) fn run(home: &Home) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let answer = dispatch(home, &arguments);
    // A reader that went away is no concern of cm_ctl.
    let _ = io::stdout().write_all(answer.stdout.as_bytes());
    let _ = io::stderr().write_all(answer.stderr.as_bytes());
    ExitCode::from(answer.code)
}

fn dispatch(home: &Home, arguments: &[String]) -> Answer {
    let conf = home.conf();
    if conf.as_ref().map_or(true, |conf| conf.needs_env) && !finds_libraries(home) {
        return Answer::refused(
            127,
            "cm_ctl: error while loading shared libraries: libcm.so: cannot open shared object file: No such file or \
             directory\n",
        );
    }
    if refuses_user() {
        return Answer::refused(
            1,
            "cm_ctl: cannot be run as root\nPlease log in (using, e.g., \"su\") as the (unprivileged) user that will\n\
             own the server process.\n",
        );
    }
    if env::var_os("GAUSSHOME").is_none_or(|value| value.is_empty()) {
        return Answer::refused(1, "Get GAUSSHOME failed, please check.\n");
    }
    let Some((command, options)) = arguments.split_first() else {
        return Answer::refused(1, "cm_ctl: no operation specified\n");
    };
    let conf = match conf {
        Ok(conf) if conf.static_config => conf,
        Ok(_) => return Answer::error(255, "cm_ctl: read staticNodeConfig failed! errno = 2.\n"),
        Err(error) => return Answer::error(255, format!("cm_ctl: read staticNodeConfig failed! {error}\n")),
    };
    match command.as_str() {
        "check" => check::check(home, &conf, options),
        "query" => query::query(&conf, options),
        "switchover" => switchover::switchover(&conf, options),
        "view" => view::view(&conf, options),
        other => Answer::refused(1, &format!("cm_ctl: unrecognized operation mode \"{other}\"\n")),
    }
}

/// What the dynamic loader does before `main`: whose environment does not name the libraries gets 127.
fn finds_libraries(home: &Home) -> bool {
    let same = |a: &Path, b: &Path| a.components().eq(b.components()) || a.canonicalize().ok() == Some(b.to_path_buf());
    let wanted = [home.root.join("lib"), own_home().join("lib")];
    let path = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    env::split_paths(&path).any(|entry| wanted.iter().any(|wanted| same(&entry, wanted)))
}
