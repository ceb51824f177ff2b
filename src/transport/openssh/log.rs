//! What the system's `ssh` tells on its standard error, at the first level of debugging: how far it has got, and why no further.
//! Pure text. A line that it does not know is nothing, or, without the mark of debugging, one of `ssh`'s own messages.

/// How far a connection has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LoginStage {
    /// Nowhere: the name is being looked up.
    #[default]
    Start,
    /// An address is known, or a command carries the connection.
    Connecting,
    /// Somebody took the connection.
    Connected,
    /// It speaks SSH.
    Banner,
    /// It has said which algorithms it takes.
    Offer,
    /// It has shown its host key.
    HostKey,
    /// The login is under way.
    Auth,
    /// Logged in.
    In,
}

/// How the command on a connection ended, as far as `ssh` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndSeen {
    /// With an exit status.
    Status,
    /// By a signal.
    Signal,
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct SshLog {
    pub(super) stage: LoginStage,
    /// Address and port, where `ssh` connects itself.
    pub(super) address: Option<(String, u16)>,
    /// The server's identification.
    pub(super) banner: String,
    /// What the peer said before that it speaks SSH.
    pub(super) greeting: String,
    /// Type and fingerprint of the server's host key.
    pub(super) host_key: Option<(String, String)>,
    /// Keys that were offered.
    pub(super) offered: usize,
    /// Methods that the server takes, as it lists them.
    pub(super) methods: String,
    /// It serves commands, or is about to.
    pub(super) serving: bool,
    /// How the last command ended.
    pub(super) ended: Option<EndSeen>,
    /// Its messages, the last of them.
    pub(super) words: Vec<String>,
    /// How many of these came before the login. Among the later ones is the server's banner, which says what it likes.
    before_login: usize,
    /// What follows is a command's text.
    quoting: bool,
    /// The beginning of a line.
    rest: Vec<u8>,
}

/// Most messages that are kept.
const MOST: usize = 30;
/// Longest line that is looked at.
const LONGEST: usize = 4096;

impl SshLog {
    /// Takes what came.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.rest);
                self.line(String::from_utf8_lossy(&line).trim_end());
            } else if self.rest.len() < LONGEST {
                self.rest.push(byte);
            }
        }
    }

    /// The last message about the connection, or none.
    pub(super) fn last_message(&self) -> Option<&str> {
        self.words.last().map(String::as_str)
    }

    /// A message from before the login that holds this text.
    pub(super) fn said_before_login(&self, text: &str) -> Option<&str> {
        let early = self.words.get(..self.before_login).unwrap_or_default();
        early.iter().map(String::as_str).find(|word| word.contains(text))
    }

    /// The same, of the last two: what ends a login comes after every banner.
    pub(super) fn said_last(&self, text: &str) -> Option<&str> {
        self.words.iter().rev().take(2).map(String::as_str).find(|word| word.contains(text))
    }

    fn reach(&mut self, stage: LoginStage) {
        self.stage = self.stage.max(stage);
    }

    fn line(&mut self, line: &str) {
        if let Some(text) = line.strip_prefix("debug1: ") {
            self.quoting = false;
            return self.debug(text);
        }
        // The statistics of a connection that has ended are no reason.
        if self.quoting
            || line.is_empty()
            || line.starts_with("Transferred: ")
            || line.starts_with("Bytes per second: ")
        {
            return;
        }
        if line.starts_with("Authenticated to ") {
            return self.reach(LoginStage::In);
        }
        if self.words.len() == MOST {
            self.words.remove(0);
            self.before_login = self.before_login.saturating_sub(1);
        }
        self.words.push(line.to_owned());
        if self.stage < LoginStage::Auth {
            self.before_login = self.words.len();
        }
    }

    fn debug(&mut self, text: &str) {
        // Once the login is under way a banner may say what it likes; these come before it.
        let forged =
            ["Connecting to ", "Remote protocol version ", "Server host key: ", "kex_exchange_identification: "];
        if self.stage >= LoginStage::Auth && forged.iter().any(|start| text.starts_with(start)) {
            return;
        }
        if let Some(rest) = text.strip_prefix("Connecting to ") {
            self.reach(LoginStage::Connecting);
            self.address = place(rest).or(self.address.take());
            // One of several addresses: what was said of the last one is not about this one.
            self.words.clear();
            self.before_login = 0;
        } else if text.starts_with("Executing proxy command") || text.starts_with("Executing proxy dialer") {
            self.reach(LoginStage::Connecting);
        } else if text.starts_with("Connection established") {
            self.reach(LoginStage::Connected);
        } else if let Some(rest) = text.strip_prefix("kex_exchange_identification: banner line ") {
            let said = rest.split_once(": ").map_or(rest, |(_, said)| said);
            if self.greeting.is_empty() {
                said.clone_into(&mut self.greeting);
            }
        } else if let Some(rest) = text.strip_prefix("Remote protocol version ") {
            self.reach(LoginStage::Banner);
            if let Some((_, software)) = rest.split_once("remote software version ") {
                software.clone_into(&mut self.banner);
            }
        } else if text.starts_with("SSH2_MSG_KEXINIT received") {
            self.reach(LoginStage::Offer);
        } else if let Some(rest) = text.strip_prefix("Server host key: ") {
            self.reach(LoginStage::HostKey);
            self.host_key = rest.split_once(' ').map(|(kind, print)| (kind.to_owned(), print.to_owned()));
        } else if text.starts_with("SSH2_MSG_NEWKEYS received") {
            self.reach(LoginStage::Auth);
        } else if text.starts_with("Offering public key: ") {
            self.offered += 1;
        } else if let Some(methods) = text.strip_prefix("Authentications that can continue: ") {
            methods.clone_into(&mut self.methods);
        } else if text.starts_with("Entering interactive session") {
            self.serving = true;
        } else if text.starts_with("Sending command: ") {
            self.quoting = true;
            self.ended = None;
        } else if text.starts_with("client_input_channel_req: ") {
            if text.contains(" rtype exit-status ") {
                self.ended = Some(EndSeen::Status);
            } else if text.contains(" rtype exit-signal ") {
                self.ended = Some(EndSeen::Signal);
            }
        }
    }
}

/// `name [address] port 22.`
fn place(text: &str) -> Option<(String, u16)> {
    let (_, rest) = text.split_once('[')?;
    let (address, rest) = rest.split_once("] port ")?;
    Some((address.to_owned(), rest.trim_end_matches('.').parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_followed_and_a_commands_text_is_not_believed() {
        let mut log = SshLog::default();
        let text = "debug1: Connecting to db1 [10.0.0.7] port 22.\r\ndebug1: Connection established.\n\
                    debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1\n\
                    debug1: SSH2_MSG_KEXINIT received\ndebug1: Server host key: ssh-ed25519 SHA256:abc\n\
                    Warning: Permanently added 'db1' (ED25519) to the list of known hosts.\n\
                    debug1: SSH2_MSG_NEWKEYS received\ndebug1: Authentications that can continue: publickey,password\n\
                    debug1: Offering public key: /k ED25519 SHA256:def explicit\n\
                    Authenticated to db1 ([10.0.0.7]:22) using \"publickey\".\ndebug1: Entering interactive session.\n";
        for piece in text.as_bytes().chunks(7) {
            log.feed(piece);
        }
        assert_eq!((log.stage, log.serving, log.offered), (LoginStage::In, true, 1));
        assert_eq!(log.address, Some(("10.0.0.7".to_owned(), 22)));
        assert_eq!((log.banner.as_str(), log.methods.as_str()), ("OpenSSH_9.2p1", "publickey,password"));
        assert_eq!(log.host_key, Some(("ssh-ed25519".to_owned(), "SHA256:abc".to_owned())));
        log.words.clear();
        log.feed(b"debug1: Sending command: echo\nConnection to db1 closed\ndebug1: x\n");
        assert_eq!((log.ended, log.last_message()), (None, None));
        log.feed(b"debug1: client_input_channel_req: channel 2 rtype exit-signal reply 0\n");
        assert_eq!(log.ended, Some(EndSeen::Signal));
        log.feed(b"Connection to db1 closed by remote host.\nTransferred: sent 1, received 2 bytes, in 0.1 seconds\n");
        assert_eq!(log.last_message(), Some("Connection to db1 closed by remote host."));
    }
}
