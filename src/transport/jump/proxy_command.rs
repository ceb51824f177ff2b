//! `ProxyCommand`: a child whose standard input and output are the connection to a host.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future;
use rustix::process::Signal;

use super::Tunnel;
use super::status::TunnelStatus;
use crate::outcome::{Failure, Phase};
use crate::reactor::{Socket, sleep};
use crate::transport::child::Child;
use crate::transport::connect::failure::host_port;
use crate::transport::target::{ProxyCommand, Target};

/// Time for a command to end by itself, once nobody needs it any more.
const GRACE: Duration = Duration::from_secs(2);

/// Starts the command, hands over the connection, and stays until the connection is over and the command is gone.
pub(crate) async fn carry(command: &ProxyCommand, target: &Target, hand_over: impl FnOnce(Result<Tunnel, Failure>)) {
    let begun = Instant::now();
    let via_status = Arc::new(TunnelStatus::default());
    let (keep_alive, wanted) = async_channel::bounded(1);
    let mut proxy = match start(command) {
        Ok((proxy, stream)) => {
            let took = begun.elapsed();
            hand_over(Ok(Tunnel { stream, via_status: via_status.clone(), keep_alive: Some(keep_alive), took }));
            proxy
        }
        Err(error) => {
            let at = host_port(&target.address, target.port);
            let cause = format!("{at}: the ProxyCommand cannot be started: {error}");
            return hand_over(Err(Failure::new(Phase::Connect, cause)));
        }
    };
    let unwanted = async { while wanted.recv().await.is_ok() {} };
    let listening = async {
        proxy.read_stderr(&via_status).await;
        let status = proxy.child.ended().await;
        via_status.end(end_reason(status, &via_status.stderr_tail()));
        future::pending::<()>().await;
    };
    future::or(unwanted, listening).await;
    proxy.end().await;
}

/// The command, and what it complains of.
struct ProxyProcess {
    child: Child,
    errors: Socket,
}

fn start(command: &ProxyCommand) -> io::Result<(ProxyProcess, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    let (errors, their_errors) = UnixStream::pair()?;
    let errors = Socket::unix(errors)?;
    let mut shell = Command::new(&command.shell);
    shell
        .arg("-c")
        .arg(format!("exec {}", command.text))
        .stdin(Stdio::from(OwnedFd::from(far.try_clone()?)))
        .stdout(Stdio::from(OwnedFd::from(far)))
        .stderr(Stdio::from(OwnedFd::from(their_errors)));
    Ok((ProxyProcess { child: Child::start(&mut shell)?, errors }, near))
}

impl ProxyProcess {
    /// Keeps what it says, until it says no more.
    async fn read_stderr(&self, via_status: &TunnelStatus) {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = self.errors.read_some(&mut buffer).await {
            via_status.add_stderr(&buffer[..count]);
        }
    }

    /// Ends it, gently first.
    async fn end(mut self) {
        self.child.signal(Signal::HUP);
        let late = async {
            sleep(GRACE).await;
            None
        };
        future::or(self.child.ended(), late).await;
    }
}

/// Why a connection over a command has ended.
fn end_reason(status: Option<ExitStatus>, stderr_tail: &str) -> String {
    let ended = match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("the ProxyCommand ended with exit status {code}"),
        Some((None, Some(signal))) => format!("the ProxyCommand was killed by signal {signal}"),
        _ => "the ProxyCommand ended".to_owned(),
    };
    if stderr_tail.is_empty() { ended } else { format!("{ended}: {stderr_tail}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_with_what_was_said() {
        let status = |raw| Some(ExitStatus::from_raw(raw));
        assert_eq!(end_reason(status(256), "nc: no"), "the ProxyCommand ended with exit status 1: nc: no");
        assert_eq!(end_reason(status(9), ""), "the ProxyCommand was killed by signal 9");
        assert_eq!(end_reason(None, ""), "the ProxyCommand ended");
    }
}
