//! The configuration of a node's sshd, and the wait for its banner.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::tool;

/// What differs between the configurations of two nodes.
pub(crate) struct Config<'a> {
    pub(crate) address: SocketAddr,
    /// The directory of the lab's own files, under the path that sshd sees.
    pub(crate) files: &'a Path,
    pub(crate) host_keys: &'a [&'static str],
    /// `NAME=VALUE` for every session.
    pub(crate) environment: &'a [String],
    pub(crate) force_command: Option<&'a str>,
    /// The test's own lines. sshd takes the first value of a keyword, so they win.
    pub(crate) extra: &'a str,
}

impl Config<'_> {
    /// The text of `sshd_config`.
    pub(crate) fn text(&self) -> String {
        let files = self.files.display();
        // What follows a Match line belongs to it, so that part goes to the end.
        let (global, matches) = match self.extra.find("Match ") {
            Some(at) => self.extra.split_at(at),
            None => (self.extra, ""),
        };
        let mut text = format!("{global}\nListenAddress {}\n", self.address);
        for kind in self.host_keys {
            let _ = writeln!(text, "HostKey {files}/host_{kind}");
        }
        let _ = write!(
            text,
            "AuthorizedKeysFile {files}/authorized_keys\n\
             PidFile {files}/sshd.pid\n\
             UsePAM no\n\
             StrictModes no\n\
             PermitRootLogin yes\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             LogLevel VERBOSE\n\
             MaxStartups 1000:30:2000\n\
             PrintMotd no\n\
             PrintLastLog no\n\
             UseDNS no\n\
             SetEnv {}\n",
            self.environment.join(" ")
        );
        if !self.extra.contains("Subsystem") {
            text.push_str("Subsystem sftp internal-sftp\n");
        }
        if let Some(command) = self.force_command {
            let _ = writeln!(text, "ForceCommand {command}");
        }
        // From 9.8 on, sshd makes an address that failed to log in wait; all tests share one.
        if version() >= (9, 8) {
            text.push_str("PerSourcePenalties no\n");
        }
        text.push_str(matches);
        text
    }
}

/// OpenSSH's version, from its client, which comes with the server.
fn version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let output = Command::new(tool::path("ssh")).arg("-V").output().expect("`ssh -V` runs");
        let text = String::from_utf8_lossy(&output.stderr);
        let number = text.split(['_', 'p', ' ', ',']).nth(1).unwrap_or_default();
        let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
        (major.parse().unwrap_or(0), minor.parse().unwrap_or(0))
    })
}

/// Whether an SSH server speaks at this address.
pub(crate) fn speaks(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    // All of the banner is read: what is left unread would turn the end into a reset.
    let mut banner = [0; 256];
    let heard = stream.set_read_timeout(Some(Duration::from_secs(1))).and_then(|()| stream.read(&mut banner));
    heard.is_ok_and(|count| banner[..count].starts_with(b"SSH-2.0"))
}
