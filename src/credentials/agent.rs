//! What an ssh-agent holds, asked with a time limit.
//!
//! It lists keys, and signs nothing: logging in goes through libssh2, which waits for an agent for ever. Asking here
//! first, once a run, keeps a dead or silent agent from holding up every host.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// `SSH_AGENTC_REQUEST_IDENTITIES`
const REQUEST_IDENTITIES: u8 = 11;

/// `SSH_AGENT_IDENTITIES_ANSWER`
const IDENTITIES_ANSWER: u8 = 12;

/// `SSH_AGENT_FAILURE` and its older forms.
const FAILURES: [u8; 3] = [5, 30, 102];

/// As long as OpenSSH lets an answer be.
const MAX_ANSWER: usize = 256 * 1024;

/// A key that an agent can sign with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentIdentity {
    /// The public key.
    pub blob: Vec<u8>,
    /// What its owner calls it.
    pub comment: String,
}

/// An agent that cannot be used.
#[derive(Debug)]
pub struct AgentError {
    /// Its socket.
    pub socket: PathBuf,
    /// What is wrong with it.
    pub fault: AgentFault,
}

/// What is wrong with an agent.
#[derive(Debug)]
pub enum AgentFault {
    /// There is no socket.
    Missing,
    /// There is one, and nobody listens: the agent is gone.
    Dead,
    /// It did not answer in time.
    Silent {
        /// How long it had.
        waited: Duration,
    },
    /// It answered that it will not list its keys.
    Declined,
    /// What answered is no agent, or a broken one.
    Garbage(&'static str),
    /// The socket cannot be used.
    Io(io::Error),
}

impl std::fmt::Display for AgentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let socket = self.socket.display();
        match &self.fault {
            AgentFault::Missing => write!(f, "ssh-agent: there is no socket `{socket}`"),
            AgentFault::Dead => write!(f, "ssh-agent: nobody listens at `{socket}`"),
            AgentFault::Silent { waited } => {
                write!(f, "ssh-agent at `{socket}` did not answer within {:.1} s", waited.as_secs_f64())
            }
            AgentFault::Declined => write!(f, "ssh-agent at `{socket}` does not list its keys"),
            AgentFault::Garbage(what) => write!(f, "what listens at `{socket}` is no ssh-agent: {what}"),
            AgentFault::Io(error) => write!(f, "ssh-agent at `{socket}`: {error}"),
        }
    }
}

impl std::error::Error for AgentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            AgentFault::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl AgentError {
    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.fault {
            AgentFault::Missing | AgentFault::Dead => {
                Some("start an agent (`eval $(ssh-agent)`), or name a key file with `-i`".into())
            }
            AgentFault::Silent { .. } => {
                let why = "it may wait for somebody to confirm, or be forwarded over a dead connection";
                Some(format!("{why}; name a key file with `-i`"))
            }
            AgentFault::Declined => Some("unlock it (`ssh-add -X`), or name a key file with `-i`".into()),
            AgentFault::Garbage(_) => Some("see what SSH_AUTH_SOCK or IdentityAgent names".into()),
            AgentFault::Io(_) => None,
        }
    }
}

/// Lists the keys of the agent at `socket`, in its order. It blocks for `timeout` at most.
///
/// An agent that is locked answers as one without keys does.
///
/// # Errors
///
/// When there is no agent, or it does not answer as one.
pub fn probe(socket: &Path, timeout: Duration) -> Result<Vec<AgentIdentity>, AgentError> {
    let deadline = AgentDeadline { start: Instant::now(), limit: timeout };
    ask(socket, &deadline).and_then(|answer| identities(&answer)).map_err(|fault| {
        let fault = match fault {
            AgentFault::Io(error) => match error.kind() {
                io::ErrorKind::NotFound => AgentFault::Missing,
                io::ErrorKind::ConnectionRefused => AgentFault::Dead,
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => AgentFault::Silent { waited: timeout },
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    AgentFault::Garbage("it hung up")
                }
                _ => AgentFault::Io(error),
            },
            other => other,
        };
        AgentError { socket: socket.to_owned(), fault }
    })
}

impl From<io::Error> for AgentFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for AgentFault {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

struct AgentDeadline {
    start: Instant,
    limit: Duration,
}

impl AgentDeadline {
    fn left(&self) -> io::Result<Duration> {
        let left = self.limit.saturating_sub(self.start.elapsed());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// Sends the request and returns the answer's body.
fn ask(socket: &Path, deadline: &AgentDeadline) -> Result<Vec<u8>, AgentFault> {
    let mut stream = dial(socket, deadline)?;
    stream.set_write_timeout(Some(deadline.left()?))?;
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES])?;
    let mut len = [0; 4];
    read_exact(&mut stream, &mut len, deadline)?;
    let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
    if len == 0 || len > MAX_ANSWER {
        return Err(AgentFault::Garbage("the length of its answer makes no sense"));
    }
    let mut answer = vec![0; len];
    read_exact(&mut stream, &mut answer, deadline)?;
    Ok(answer)
}

/// Connects. An agent that accepts nobody (stopped, say) leaves the queue of its socket full, and then a blocking
/// connect has no end.
fn dial(socket: &Path, deadline: &AgentDeadline) -> Result<UnixStream, AgentFault> {
    let address = SocketAddrUnix::new(socket)?;
    loop {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match connect(&fd, &address) {
            Ok(()) => {
                let stream = UnixStream::from(fd);
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(Errno::AGAIN | Errno::INTR) => thread::sleep(deadline.left()?.min(Duration::from_millis(20))),
            Err(error) => return Err(error.into()),
        }
    }
}

/// As `read_exact`, under one deadline over all reads: an agent that sends a byte now and then would outlast a
/// timeout for each.
fn read_exact(stream: &mut UnixStream, mut buffer: &mut [u8], deadline: &AgentDeadline) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(deadline.left()?))?;
        match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn identities(answer: &[u8]) -> Result<Vec<AgentIdentity>, AgentFault> {
    let garbage = || AgentFault::Garbage("its answer is damaged");
    let (kind, rest) = answer.split_first().ok_or_else(garbage)?;
    if FAILURES.contains(kind) {
        return Err(AgentFault::Declined);
    }
    if *kind != IDENTITIES_ANSWER {
        return Err(AgentFault::Garbage("it answers something else than a list of keys"));
    }
    let rest = &mut &*rest;
    let count = number(rest).ok_or_else(garbage)?;
    // Not reserved ahead: the count is whatever the other side says.
    let mut identities = Vec::new();
    for _ in 0..count {
        let blob = string(rest).ok_or_else(garbage)?.to_vec();
        let comment = String::from_utf8_lossy(string(rest).ok_or_else(garbage)?).into_owned();
        identities.push(AgentIdentity { blob, comment });
    }
    Ok(identities)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_be_bytes(*number))
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(number(rest)?).ok()?;
    let (string, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(string)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;
    use std::process::{Child, Command, Stdio};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(200);

    fn folder() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    /// What listens answers each caller once with `answer`, and keeps the line open or not.
    fn answering(answer: &'static [u8], hang_up: bool) -> (TempDir, PathBuf) {
        let folder = folder();
        let socket = folder.path().join("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 5];
                let _ = stream.read_exact(&mut request);
                let _ = stream.write_all(answer);
                if !hang_up {
                    open.push(stream);
                }
            }
        });
        (folder, socket)
    }

    #[track_caller]
    fn fails(socket: &Path, timeout: Duration, want: &str) {
        let error = probe(socket, timeout).unwrap_err();
        assert_eq!(error.to_string().replace(socket.to_str().unwrap(), "SOCKET"), want);
    }

    #[test]
    fn agents_that_are_not_there() {
        let folder = folder();
        let socket = folder.path().join("agent");
        fails(&socket, LONG, "ssh-agent: there is no socket `SOCKET`");
        drop(UnixListener::bind(&socket).unwrap());
        fails(&socket, LONG, "ssh-agent: nobody listens at `SOCKET`");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        fails(&file, LONG, "ssh-agent: nobody listens at `SOCKET`");
        assert!(probe(Path::new(&"x".repeat(500)), LONG).is_err());
    }

    #[test]
    fn agents_that_do_not_answer() {
        let silent = "ssh-agent at `SOCKET` did not answer within 0.2 s";
        let (_folder, socket) = answering(b"", false);
        fails(&socket, SHORT, silent);
        let (_folder, socket) = answering(b"\0\0\0\x05\x0c\0", false);
        fails(&socket, SHORT, silent);
        // Stopped: nobody accepts, and the queue is full.
        let folder = folder();
        let socket = folder.path().join("agent");
        let _listener = UnixListener::bind(&socket).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = dial(&socket, &AgentDeadline { start: Instant::now(), limit: Duration::from_millis(50) })
        {
            waiting.push(stream);
        }
        fails(&socket, SHORT, silent);
    }

    #[test]
    fn what_is_no_agent() {
        for (answer, want) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "the length of its answer makes no sense"),
            (b"\0\0\0\0", "the length of its answer makes no sense"),
            (b"\0\0\0\x01\x63", "it answers something else than a list of keys"),
            (b"\0\0\0\x05\x0c\xff\xff\xff\xff", "its answer is damaged"),
            (b"\0\0\0\x09\x0c\0\0\0\x01\0\0\xff\xff", "its answer is damaged"),
            (b"\0\0\0\x09\x0c", "it hung up"),
            (b"", "it hung up"),
        ] {
            let (_folder, socket) = answering(answer, true);
            fails(&socket, LONG, &format!("what listens at `SOCKET` is no ssh-agent: {want}"));
        }
        let (_folder, socket) = answering(b"\0\0\0\x01\x05", false);
        fails(&socket, LONG, "ssh-agent at `SOCKET` does not list its keys");
    }

    /// A real ssh-agent for as long as the value lives.
    struct Agent(Child);

    impl Drop for Agent {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_real_agent_lists_its_keys_until_it_is_locked() {
        let folder = folder();
        let (socket, key, askpass) =
            (folder.path().join("agent"), folder.path().join("id"), folder.path().join("askpass"));
        let run = |program: &str, args: &[&str]| {
            let output = Command::new(program)
                .args(args)
                .env("SSH_AUTH_SOCK", &socket)
                .env("SSH_ASKPASS", &askpass)
                .env("SSH_ASKPASS_REQUIRE", "force")
                .output()
                .expect("install openssh-client");
            assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        fs::write(&askpass, "#!/bin/sh\necho lock\n").unwrap();
        fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).unwrap();
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", socket.to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent: install openssh-client");
        let _agent = Agent(child);
        let since = Instant::now();
        while probe(&socket, LONG).is_err() {
            assert!(since.elapsed() < LONG, "ssh-agent does not come up");
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(probe(&socket, LONG).unwrap(), []);

        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "mine", "-f", key.to_str().unwrap()]);
        run("ssh-add", &["-q", key.to_str().unwrap()]);
        let listed = probe(&socket, LONG).unwrap();
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let blob = openssl::base64::decode_block(public.split(' ').nth(1).unwrap()).unwrap();
        assert_eq!((listed[0].comment.as_str(), &listed[0].blob), ("mine", &blob));

        run("ssh-add", &["-x"]);
        assert_eq!(probe(&socket, LONG).unwrap(), [], "locked");
        run("ssh-add", &["-X"]);
        assert_eq!(probe(&socket, LONG).unwrap(), listed);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(answer: Vec<u8>) {
            let _ = identities(&answer);
            let _ = identities(&[&[IDENTITIES_ANSWER, 0, 0, 0, 2][..], &answer].concat());
        }
    }
}
