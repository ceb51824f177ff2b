//! Which libraries this program speaks SSH with.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ssh2::Session;

/// libssh2 and OpenSSL, each with the version that it says of itself.
#[must_use]
pub fn libraries() -> Vec<String> {
    let libssh2 = libssh2().unwrap_or_else(|error| format!("libssh2 (it does not say which: {error})"));
    // `OpenSSL 3.6.3 5 May 2026`
    let openssl = openssl::version::version().split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    vec![libssh2, openssl]
}

/// The only thing that tells its version without `unsafe` is the first line that it sends to a server.
fn libssh2() -> io::Result<String> {
    let (near, mut far) = UnixStream::pair()?;
    far.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut session = Session::new()?;
    session.set_blocking(false);
    session.set_tcp_stream(near);
    // Nobody answers: it sends its line and would go on later.
    let _ = session.handshake();
    let mut line = [0; 255];
    let count = far.read(&mut line)?;
    let line = String::from_utf8_lossy(&line[..count]);
    let name = line.lines().next().and_then(|line| line.strip_prefix("SSH-2.0-"));
    name.map(|name| name.replacen('_', " ", 1)).ok_or_else(|| io::Error::other("it sends no version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_its_version() {
        for (said, name) in libraries().iter().zip(["libssh2 1.", "OpenSSL 3."]) {
            assert!(said.starts_with(name), "{said}");
        }
    }
}
