//! `ProxyCommand`: a child whose standard input and output are the connection to a host.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use futures_lite::future;
use rustix::process::{Pid, Signal, kill_process_group};

use super::connect::place;
use super::gate::Carried;
use super::passage::Passage;
use super::target::{ProxyCommand, Target};
use super::wire::Wire;
use crate::outcome::{Failure, Phase};

/// Time for a command to end by itself, once nobody needs it any more.
const GRACE: Duration = Duration::from_secs(2);
/// Time between two looks whether a command has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Starts the command, hands over the connection, and stays until the connection is over and the command is gone.
pub(super) async fn carry(command: &ProxyCommand, target: &Target, hand_over: impl FnOnce(Result<Carried, Failure>)) {
    let begun = Instant::now();
    let passage = Arc::new(Passage::default());
    let (lease, wanted) = async_channel::bounded(1);
    let started =
        start(command).and_then(|(proxy, stream)| Ok((proxy, Wire::over(stream, passage.clone(), Some(lease))?)));
    let mut proxy = match started {
        Ok((proxy, wire)) => {
            hand_over(Ok(Carried { wire, took: begun.elapsed() }));
            proxy
        }
        Err(error) => {
            let at = place(&target.address, target.port);
            let cause = format!("{at}: the ProxyCommand cannot be started: {error}");
            return hand_over(Err(Failure::new(Phase::Connect, cause)));
        }
    };
    let unwanted = async { while wanted.recv().await.is_ok() {} };
    let listening = async {
        proxy.listen(&passage).await;
        let status = proxy.ended().await;
        passage.end(last_words(status, &passage.words()));
        future::pending::<()>().await;
    };
    future::or(unwanted, listening).await;
    proxy.end().await;
}

/// The child, in a process group of its own: a Ctrl-C is gsctl's to answer, which may still need the connection.
struct Proxy {
    child: Child,
    errors: Async<UnixStream>,
    status: Option<ExitStatus>,
}

fn start(command: &ProxyCommand) -> io::Result<(Proxy, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    let (errors, their_errors) = UnixStream::pair()?;
    let errors = Async::new(errors)?;
    let child = Command::new(&command.shell)
        .arg("-c")
        .arg(format!("exec {}", command.text))
        .stdin(Stdio::from(OwnedFd::from(far.try_clone()?)))
        .stdout(Stdio::from(OwnedFd::from(far)))
        .stderr(Stdio::from(OwnedFd::from(their_errors)))
        .process_group(0)
        .spawn()?;
    Ok((Proxy { child, errors, status: None }, near))
}

impl Proxy {
    /// Keeps what it says, until it says no more.
    async fn listen(&self, passage: &Passage) {
        let mut buffer = [0; 1024];
        loop {
            match (&mut self.errors.get_ref()).read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => passage.hear(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.errors.readable().await.is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Waits until it has ended.
    async fn ended(&mut self) -> Option<ExitStatus> {
        loop {
            match self.child.try_wait() {
                Ok(None) => Timer::after(LOOK).await,
                Ok(status) => {
                    self.status = status;
                    return status;
                }
                Err(_) => return None,
            };
        }
    }

    /// Ends it, gently first.
    async fn end(mut self) {
        if self.status.is_none() {
            self.signal(Signal::HUP);
            let late = async {
                Timer::after(GRACE).await;
                None
            };
            future::or(async { self.ended().await }, late).await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Proxy {
    /// Whatever happened, nothing of it stays: neither the process nor its number.
    fn drop(&mut self) {
        if self.status.is_none() && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Why a connection over a command has ended.
fn last_words(status: Option<ExitStatus>, words: &str) -> String {
    let ended = match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("the ProxyCommand ended with exit status {code}"),
        Some((None, Some(signal))) => format!("the ProxyCommand was killed by signal {signal}"),
        _ => "the ProxyCommand ended".to_owned(),
    };
    if words.is_empty() { ended } else { format!("{ended}: {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_with_what_was_said() {
        let status = |raw| Some(ExitStatus::from_raw(raw));
        assert_eq!(last_words(status(256), "nc: no"), "the ProxyCommand ended with exit status 1: nc: no");
        assert_eq!(last_words(status(9), ""), "the ProxyCommand was killed by signal 9");
        assert_eq!(last_words(None, ""), "the ProxyCommand ended");
    }
}
