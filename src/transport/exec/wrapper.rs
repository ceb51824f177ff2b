//! How a command is carried to a node: the text that any login shell hands to /bin/sh, and what that shell then reads and runs.
//!
//! `exit_status()` of libssh2 is 0 for a command that was killed, for a session that was lost and for a channel that sshd
//! cut. So the command is wrapped: the wrapper prints a mark and its process id first, and a mark and the exit status
//! last. Only a trailer makes a result.
//!
//! The request is the same for every login shell: `/bin/sh -c 'READER' sh ID LENGTH`. The reader reads a program of so many bytes from
//! standard input, and runs it only where its last line has come too. What follows on standard input is the command's.
//! So nothing of a profile but environment variables reaches what gsctl runs, nothing is run that was cut on its way, and neither the
//! command nor the secret mark stands in an argument. Pure text; this file must not know about sessions.

use std::io::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::marks::Marks;
use super::sudo::SudoCall;
use crate::plan::quote::quote;
use crate::plan::script::own_lines;

/// The status in a trailer where what comes before the command failed.
pub const UNPREPARED: i32 = 1000;

static PROGRAM: LazyLock<String> = LazyLock::new(|| own_lines(include_str!("wrapper/program.sh")));
/// What /bin/sh does first; no character of it means something to a login shell between single quotes. No name but those of special
/// builtins can be a function that bash took over from the environment.
const READER: &str = "set +aefuvxC;unset -f dd echo read stty;unset gs_p gs_tty gs_path gs_id gs_mark gs_text gs_before gs_feed gs_in gs_s;\
    gs_path=$PATH;PATH=/usr/bin:/bin:/usr/sbin:/sbin;export PATH;";
const READ: &str = "while read -r gs_p;do case $gs_p in \"#$1\")break;;esac;done;\
    gs_p=$(dd bs=$2 count=1 iflag=fullblock 2>/dev/null||case $? in ([12])dd bs=1 count=$2 2>/dev/null;;esac);case $gs_p in *\"#$1.\")eval \"$gs_p\";;\
     *)echo \"gsctl: what was sent did not arrive whole, or there is no dd: nothing was run\" >&2;exit 141;;esac";
/// The same for a program that is there already.
const GIVEN: &str = "gs_p=$2;case $gs_p in *\"#$1.\")eval \"$gs_p\";;esac";
/// The same for one that is too long for an argument as it stands.
const PACKED: &str = "gs_p=$(echo $2|base64 -d|gzip -dc);case $gs_p in *\"#$1.\")eval \"$gs_p\";;\
     *)echo \"gsctl: there is no base64 or no gzip: nothing was run\" >&2;exit 141;;esac";
/// What may be read by a profile that reads: lines that are nobody's.
const SPARE_LINES: &str = "\n\n\n\n";
/// Tells that standard input may be written to: what came before is somebody else's (sudo's), or the terminal's to change.
const READY: &str = "echo \"$1>\";";
/// Keeps a terminal from repeating what it reads, and from reading anything into it.
const RAW: &str = "gs_tty=$(stty -g)&&stty raw -echo&&";

/// Who runs a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// A new process of the login shell: a user's command.
    LoginShell,
    /// The wrapper's own /bin/sh, with the system's PATH: gsctl's own scripts.
    OwnShell,
    /// The same, with the login's PATH behind the system's: scripts of playbooks, which look for programs of the user's.
    Playbook,
}

/// A command as it is sent.
#[derive(Debug, Clone, Copy)]
pub struct WrapOptions<'a> {
    /// Who runs it.
    pub runner: Runner,
    /// Another shell than the login shell.
    pub shell: Option<&'a str>,
    /// Text of ours that is run first. Where it fails the trailer has a status that no command has.
    pub before: &'a str,
    /// Run the command, and what comes before it, through sudo.
    pub sudo: Option<SudoCall<'a>>,
    /// Both streams are one: a terminal.
    pub pty: bool,
    /// How the login shell takes it.
    pub form: Form,
}

/// How a login shell takes what is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// It runs `/bin/sh`, which reads the program from standard input.
    #[default]
    Usual,
    /// It runs no program by its path (a restricted shell), and finds `sh` itself.
    Restricted,
    /// Its start-up files read standard input to the end, so that the program stands in an argument, where other users of the node
    /// can read it: what they can forge then is said in docs/commands-and-shells.md. For POSIX shells.
    InArgument,
}

impl Form {
    /// The form that this one's failure asks for; `None`: none would do better.
    #[must_use]
    pub fn after(self, said: &str) -> Option<Self> {
        match self {
            Self::Usual if said.contains("/bin/sh") && said.contains("restricted") => Some(Self::Restricted),
            Self::Usual if said.contains(NOT_WHOLE) => Some(Self::InArgument),
            Self::Usual | Self::Restricted | Self::InArgument => None,
        }
    }
}

/// What the reader says where the program did not come whole.
const NOT_WHOLE: &str = "what was sent did not arrive whole";
/// Bytes of a request with the program in it: it must fit into one packet.
const LONGEST_REQUEST: usize = 34_500;

/// What is sent for a command.
#[derive(Debug)]
pub struct Wrapped {
    /// What the server is asked to run.
    pub request: String,
    /// What is written to it before anything else, each part after so many times that it said to be ready.
    pub programs: Vec<(usize, Vec<u8>)>,
}

/// Wraps a command.
#[must_use]
pub fn wrap(marks: &Marks, options: &WrapOptions<'_>, text: &str) -> Wrapped {
    let begins = if options.sudo.is_some() { '+' } else { '<' };
    let inner = program(marks, options, begins, text);
    let first = usize::from(options.pty);
    let opened = |program: &[u8]| [opening(&marks.id).as_bytes(), program].concat();
    let Some(sudo) = &options.sudo else {
        if options.form == Form::InArgument && !options.pty {
            let whole = |reader: &str, word: &str| format!("/bin/sh -c '{READER}{reader}' sh {} {word}", marks.id);
            let fits = |request: &String| request.len() <= LONGEST_REQUEST;
            let given = Some(whole(GIVEN, &argument(&inner))).filter(fits);
            if let Some(request) = given.or_else(|| Some(whole(PACKED, &packed(&inner))).filter(fits)) {
                return Wrapped { request, programs: Vec::new() };
            }
        }
        return Wrapped { request: request(marks, options, inner.len()), programs: vec![(first, opened(&inner))] };
    };
    // sudo reads the password from there, so what the inner shell reads waits until that says to be there.
    let reader = reader(true, options.pty);
    let call = sudo.call(&marks.id, &format!("/bin/sh -c {} sh {} {}", quote(&reader), marks.id, inner.len()));
    let outer = assemble(
        marks,
        options.pty,
        '<',
        &[("gs_text", ""), ("gs_before", "")],
        &format!("gs_begin\n{call}\ngs_end \"$?\"\n"),
    );
    Wrapped {
        request: request(marks, options, outer.len()),
        programs: vec![(first, opened(&outer)), (first + 1, opened(&inner))],
    }
}

/// A program as a word for a POSIX shell.
fn argument(program: &[u8]) -> String {
    quote(&String::from_utf8_lossy(program))
}

/// The same for `base64 -d | gzip -dc`. In memory nothing fails; an empty word would be told by the node.
fn packed(program: &[u8]) -> String {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    let done = packer.write_all(program).and_then(|()| packer.finish());
    BASE64_STANDARD.encode(done.unwrap_or_default())
}

fn request(marks: &Marks, options: &WrapOptions<'_>, length: usize) -> String {
    let sh = if options.form == Form::Restricted { "sh" } else { "/bin/sh" };
    format!("{sh} -c '{}' sh {} {length}", reader(options.pty, options.pty), marks.id)
}

fn reader(ready: bool, pty: bool) -> String {
    [READER, if pty { RAW } else { "" }, if ready { READY } else { "" }, READ].concat()
}

/// What the shell that runs the text reads.
fn program(marks: &Marks, options: &WrapOptions<'_>, begins: char, text: &str) -> Vec<u8> {
    let locale = "case ${3-} in '') unset LC_ALL ;; *) LC_ALL=$3 ;; esac\n";
    let run = match options.runner {
        Runner::LoginShell => "gs_begin\ngs_prepare\ngs_login \"$gs_text\"\ngs_end \"$gs_s\"\n",
        Runner::OwnShell => "gs_begin\ngs_prepare\n(eval \"unset gs_text gs_p gs_again;$gs_text\")\ngs_end \"$?\"\n",
        Runner::Playbook => {
            "PATH=$PATH${gs_path:+:$gs_path}\ngs_begin\ngs_prepare\n(eval \"unset gs_text gs_p gs_again;$gs_text\")\ngs_end \"$?\"\n"
        }
    };
    let run = if options.sudo.is_some() { [locale, run].concat() } else { run.to_owned() };
    // Behind sudo a command is for /bin/sh.
    let shell = options.shell.or(options.sudo.as_ref().map(|_| "/bin/sh")).unwrap_or_default();
    let again = again(options.before);
    let variables =
        [("gs_text", text), ("gs_before", options.before), ("gs_again", again.as_str()), ("gs_shell", shell)];
    assemble(marks, options.pty, begins, &variables, &run)
}

/// What bash and zsh are told once more before the command, as a profile may have set something else.
fn again(before: &str) -> String {
    if before.starts_with("export ") {
        // What follows the variables is a directory, and needs no second time.
        let end = before.rfind("&&CDPATH= cd -- ").unwrap_or(before.len());
        format!("\\builtin {};", &before[..end])
    } else {
        String::new()
    }
}

fn assemble(marks: &Marks, pty: bool, begins: char, variables: &[(&str, &str)], run: &str) -> Vec<u8> {
    let mut text = String::new();
    if pty {
        text.push_str("stty \"$gs_tty\"\n");
    }
    let errors = if pty { "" } else { "1" };
    text.push_str(&format!("gs_id={}\ngs_mark={}\ngs_begins='{begins}'\ngs_errors={errors}\n", marks.id, marks.secret));
    for (name, value) in variables {
        text.push_str(&format!("{name}={}\n", quote(value)));
    }
    text.push_str(&PROGRAM);
    text.push_str(run);
    text.push_str(&closing_line(marks));
    text.into_bytes()
}

/// Where a program begins on standard input.
fn opening(id: &str) -> String {
    format!("{SPARE_LINES}#{id}\n")
}

/// What closes a text that is run only where it has come whole.
#[must_use]
pub(crate) fn closing_line(marks: &Marks) -> String {
    format!("#{}.", marks.id)
}

/// What a server that only plays at running commands has to know of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwrapped {
    /// The secret mark.
    pub mark: String,
    /// What is to be run.
    pub text: String,
}

/// The id in a request of ours, and how many bytes it waits for.
#[must_use]
pub fn unwrap_request(request: &str) -> Option<(&str, usize)> {
    let rest = request.strip_prefix(&format!("/bin/sh -c '{}' sh ", reader(false, false)))?;
    let (id, length) = rest.split_once(' ')?;
    Some((id, opening(id).len() + length.parse::<usize>().ok()?))
}

/// What such a program runs.
#[must_use]
pub fn unwrap_program(id: &str, program: &str) -> Option<Unwrapped> {
    let program = program.strip_prefix(&opening(id))?;
    let rest = program.strip_prefix(&format!("gs_id={id}\ngs_mark="))?.strip_suffix(&format!("#{id}."))?;
    let (mark, rest) = rest.split_once('\n')?;
    let (_, rest) = rest.split_once("\ngs_text=")?;
    let (word, _) = rest.split_once("\ngs_before=''\n")?;
    let words = crate::plan::quote::split(word)?;
    Some(Unwrapped { mark: mark.to_owned(), text: words.first().cloned().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Output, Stdio};

    use super::*;
    use crate::transport::exec::marks::Mark;
    use crate::transport::exec::parser::{Ended, TrailerParser};

    const SHELLS: [&[&str]; 4] = [&["sh"], &["dash"], &["bash"], &["busybox", "sh"]];

    /// What came of a command: standard output, standard error, how it ended.
    type Outcome = (String, String, Option<Ended>);

    fn options(runner: Runner) -> WrapOptions<'static> {
        WrapOptions { runner, shell: None, before: "", sudo: None, pty: false, form: Form::Usual }
    }

    /// What comes back where sshd gets this.
    fn raw(login: &[&str], account: &str, by: &str, wrapped: &Wrapped, input: &[u8]) -> Output {
        let request = wrapped.request.replace("/bin/sh -c", &format!("{by} -c"));
        // A session of its own, as sshd gives it: a command may signal all of its group.
        let mut child = Command::new("setsid")
            .args(login)
            .args(["-c", &request])
            .env("SHELL", account)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{login:?}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        for (_, program) in &wrapped.programs {
            // Who refuses it may be gone before all of it was written.
            let _ = stdin.write_all(program);
        }
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// Runs it as sshd would, by `login`, as the account with the shell `account`, and the wrapper in `wrapper`.
    fn run(login: &[&str], account: &str, by: &str, options: &WrapOptions<'_>, text: &str, input: &[u8]) -> Outcome {
        let marks = Mark::default().command();
        let output = raw(login, account, by, &wrap(&marks, options, text), input);
        let read = |bytes: &[u8]| {
            let starts = options.runner == Runner::LoginShell;
            let (mut reader, mut body) = (TrailerParser::new(&marks).after_start(starts), Vec::new());
            reader.feed(bytes, &mut |bytes| body.extend_from_slice(bytes));
            reader.finish(&mut |bytes| body.extend_from_slice(bytes));
            (String::from_utf8_lossy(&body).into_owned(), reader)
        };
        let ((out, reader), (err, errors)) = (read(&output.stdout), read(&output.stderr));
        assert_eq!(errors.errors(), (true, true), "{login:?} {account} {by} {text}: {out}{err}");
        (out, err, reader.ended())
    }

    #[test]
    fn what_was_wrapped_is_found_again() {
        let marks = Mark::default().command();
        let victim = crate::plan::script::Victim {
            id: &marks.id,
            pid: 7,
            start: 1,
            boot: "0-0",
            lead: 7,
            same_connection: true,
        };
        for text in ["echo 'it is'", "", "true", &crate::plan::script::killer(&victim)] {
            let wrapped = wrap(&marks, &options(Runner::OwnShell), text);
            let (id, bytes) = unwrap_request(&wrapped.request).expect("it is a request of ours");
            let program = &wrapped.programs[0].1;
            assert_eq!((id, bytes), (marks.id.as_str(), program.len()));
            let unwrapped = unwrap_program(id, std::str::from_utf8(program).unwrap()).expect("it is a program of ours");
            assert_eq!(unwrapped, Unwrapped { mark: marks.secret.clone(), text: text.to_owned() });
        }
        assert!(unwrap_request("true").is_none() && unwrap_program(&marks.id, "true").is_none());
    }

    /// For a login whose profile has read all of standard input.
    #[test]
    fn a_long_text_comes_packed_where_only_an_argument_gets_through() {
        let words = (0..6000).map(|number| format!("# {number} it's")).collect::<Vec<_>>().join("\n");
        let options = WrapOptions { form: Form::InArgument, ..options(Runner::OwnShell) };
        for (text, packs) in [("echo \"it's\"".to_owned(), false), (format!("{words}\necho \"it's\""), true)] {
            let wrapped = wrap(&Mark::default().command(), &options, &text);
            assert_eq!((wrapped.request.contains("gzip -dc"), wrapped.programs.len()), (packs, 0));
            assert!(wrapped.request.len() <= LONGEST_REQUEST);
            for by in SHELLS {
                let by = by.join(" ");
                let (out, err, ended) = run(&["bash"], "/bin/sh", &by, &options, &text, b"");
                assert_eq!((out.as_str(), err.as_str(), ended), ("it's\n", "", Some(Ended::Status(0))), "{by}");
            }
        }
    }

    #[test]
    fn the_request_means_the_same_to_every_login_shell() {
        let marks = Mark::default().command();
        let options = WrapOptions { pty: true, ..options(Runner::LoginShell) };
        let request = wrap(&marks, &options, "it's a secret!").request;
        assert_eq!(request.matches('\'').count(), 2, "{request}");
        assert!(!request.contains(['!', '\\', '\n', '^']) && !request.contains(&marks.secret), "{request}");
        assert!(!request.contains("it's"), "{request}");
    }

    #[test]
    fn a_command_is_what_it_is_under_sshd() {
        let cases = [
            ("echo hi", "hi\n", "", Ended::Status(0)),
            ("printf 'no newline'; exit 3", "no newline", "", Ended::Status(3)),
            ("echo \"it's $((1+1)) \\\\ !\"\nfalse", "it's 2 \\ !\n", "", Ended::Status(1)),
            ("exec sh -c 'exit 255'", "", "", Ended::Status(255)),
            ("set -e; false; echo not reached", "", "", Ended::Status(1)),
            ("trap 'echo bye' EXIT; exit 4", "bye\n", "", Ended::Status(4)),
            ("trap 'echo caught; exit 7' TERM; kill $$; echo on", "caught\n", "", Ended::Status(7)),
            ("kill $$; echo on", "", "", Ended::Signal(15)),
            ("exec sh -c 'kill -9 $$'", "", "", Ended::Signal(9)),
            ("kill 0; echo on", "", "", Ended::Signal(15)),
            ("cat; echo $#", "input0\n", "", Ended::Status(0)),
            (
                "exec 3>&1 2>/dev/null; readlink /proc/self/fd/4 /proc/self/fd/7 || echo none",
                "none\n",
                "",
                Ended::Status(0),
            ),
            ("tr '\\0' '\\n' </proc/$PPID/cmdline | grep -c canary", "0\n", "", Ended::Status(1)),
            ("env | grep -c ^gs_", "0\n", "", Ended::Status(1)),
        ];
        for login in SHELLS {
            for account in ["/usr/bin/dash", "/bin/bash", "/bin/sh", "/usr/bin/zsh"] {
                for wrapper in ["/bin/dash", "/tmp/gsctl-test-sh/sh", "busybox sh"] {
                    // On a node what wraps is /bin/sh itself.
                    if account == "/bin/sh" && wrapper != "/bin/dash" {
                        continue;
                    }
                    if wrapper.starts_with("/tmp") {
                        std::fs::create_dir_all("/tmp/gsctl-test-sh").unwrap();
                        let _ = std::os::unix::fs::symlink("/bin/bash", "/tmp/gsctl-test-sh/sh");
                    }
                    for (text, out, err, ended) in cases {
                        let got = run(login, account, wrapper, &options(Runner::LoginShell), text, b"input");
                        let want = (out.to_owned(), err.to_owned(), Some(ended));
                        assert_eq!(got, want, "{login:?} {account} {wrapper} {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn without_what_reads_it_nothing_is_run_and_nothing_is_well() {
        let marks = Mark::default().command();
        let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let text = ": a text that is long enough to have an end\necho ran";
        for account in ["/usr/bin/dash", "/bin/bash", "/usr/bin/zsh", "/usr/bin/fish"] {
            let mut wrapped = wrap(&marks, &options(Runner::LoginShell), text);
            let program = String::from_utf8(wrapped.programs[0].1.clone()).unwrap();
            wrapped.programs[0].1 = program.replace("/bin/cat", "/bin/ca7").into_bytes();
            let output = raw(&["dash"], account, "/bin/dash", &wrapped, b"");
            assert!(said(&output).contains(&format!("{}=~9\n", marks.secret)), "{account}: {output:?}");
            assert!(!said(&output).contains("ran"), "{account}: {output:?}");
        }
        // It had read the beginning when it was killed.
        for by in ["/bin/dash", "/bin/bash", "busybox sh"] {
            let mut wrapped = wrap(&marks, &options(Runner::OwnShell), text);
            let first = "dd bs=$2 count=1 iflag=fullblock";
            assert!(wrapped.request.contains(first));
            let killed = "sh -c \"head -c 40 >/dev/null;kill -9 \\$\\$\"";
            wrapped.request = wrapped.request.replace(first, killed);
            let output = raw(&["dash"], "/bin/dash", by, &wrapped, b"");
            assert_eq!((said(&output).as_str(), output.status.code()), ("", Some(141)), "{by}: {output:?}");
        }
    }
}
