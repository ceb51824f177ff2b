//! The list of algorithms that a server sends before anything is encrypted (RFC 4253, sections 4.2, 6 and 7.1).
//!
//! libssh2 only says that there is none in common. So after that one more connection reads the list.

use super::algorithms::{AlgorithmKind, AlgorithmLists, is_marker};
use super::socket::SessionSocket;

/// Longest beginning of a connection that is read.
const LONGEST: usize = 64 * 1024;
/// The number of the message.
const KEXINIT: u8 = 20;

/// What a server has, best first, of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KexLists {
    kex: Vec<String>,
    host_key: Vec<String>,
    cipher: [Vec<String>; 2],
    mac: [Vec<String>; 2],
}

/// What has been read so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KexRead {
    /// All of it.
    Whole(KexLists),
    /// More is to come.
    Short,
    /// It is something else.
    Foreign,
}

impl KexLists {
    /// Of what kinds server and client have none in common: a sentence for each.
    pub(super) fn missing(&self, offer: &AlgorithmLists) -> Vec<String> {
        let mut said = Vec::new();
        for kind in AlgorithmKind::ALL {
            let ours = offer.of(kind);
            let lists: &[&[String]] = match kind {
                AlgorithmKind::Kex => &[&self.kex],
                AlgorithmKind::HostKey => &[&self.host_key],
                AlgorithmKind::Cipher => &[&self.cipher[0], &self.cipher[1]],
                AlgorithmKind::Mac => &[&self.mac[0], &self.mac[1]],
            };
            let foreign = |list: &&&[String]| !list.iter().any(|name| ours.contains(&name.as_str()));
            if let Some(theirs) = lists.iter().find(foreign) {
                let theirs: Vec<&str> = theirs.iter().map(String::as_str).filter(|name| !is_marker(name)).collect();
                said.push(format!("no {} (server: {}; gsctl: {})", kind.noun(), theirs.join(","), ours.join(",")));
            }
        }
        said
    }
}

/// Asks the server at the other end of a fresh connection. `None`: it did not say.
pub(super) async fn ask(socket: &SessionSocket) -> Option<KexLists> {
    // Some servers wait for this before they send theirs.
    socket.write_all(b"SSH-2.0-gsctl\r\n").await.ok()?;
    let mut bytes = Vec::new();
    let lists = loop {
        match read(&bytes) {
            KexRead::Whole(lists) => break Some(lists),
            KexRead::Short if bytes.len() < LONGEST && socket.read(&mut bytes).await.ok()? > 0 => {}
            KexRead::Short | KexRead::Foreign => break None,
        }
    };
    socket.shut();
    lists
}

/// Reads the beginning of what a server sends.
pub(super) fn read(bytes: &[u8]) -> KexRead {
    // Lines before the one that says `SSH-` are allowed.
    let mut rest = bytes;
    loop {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return KexRead::Short };
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        if line.starts_with(b"SSH-") {
            break;
        }
    }
    // Length of what follows it, length of the padding, number of the message, 16 random bytes.
    let Some((length, packet)) = number(rest) else { return KexRead::Short };
    if !(22..=LONGEST).contains(&length) {
        return KexRead::Foreign;
    }
    let Some(packet) = packet.get(..length) else { return KexRead::Short };
    if packet[1] != KEXINIT {
        return KexRead::Foreign;
    }
    lists(&packet[18..]).map_or(KexRead::Foreign, KexRead::Whole)
}

fn lists(mut bytes: &[u8]) -> Option<KexLists> {
    let mut next = || {
        let (length, rest) = number(bytes)?;
        let text = std::str::from_utf8(rest.get(..length)?).ok()?;
        bytes = &rest[length..];
        // They end up in a message: names are printable ASCII.
        text.chars()
            .all(|c| c.is_ascii_graphic())
            .then(|| text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<String>>())
    };
    Some(KexLists { kex: next()?, host_key: next()?, cipher: [next()?, next()?], mac: [next()?, next()?] })
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_be_bytes(*head)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::super::algorithms::AlgorithmChoice;
    use super::*;

    fn hello(lists: [&str; 6]) -> Vec<u8> {
        let mut payload = vec![4, KEXINIT];
        payload.extend([7; 16]);
        for list in lists {
            payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.extend([0; 20]);
        let mut bytes = b"welcome\r\nSSH-2.0-x\r\n".to_vec();
        bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn what_is_missing_is_named_with_both_lists() {
        let kex = "curve25519-sha256,kex-strict-s-v00@openssh.com";
        let bytes = hello([kex, "ssh-dss", "aes128-ctr,x", "aes128-ctr", "hmac-sha2-256", "umac-64@openssh.com"]);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), KexRead::Short, "{end}");
        }
        let KexRead::Whole(lists) = read(&bytes) else { panic!("{bytes:?}") };
        let mut offer = AlgorithmLists::default();
        offer.choose(&AlgorithmChoice::parse(AlgorithmKind::HostKey, "ssh-ed25519").unwrap());
        offer.choose(&AlgorithmChoice::parse(AlgorithmKind::Mac, "hmac-sha2-256").unwrap());
        assert_eq!(
            lists.missing(&offer),
            [
                "no type of host key (server: ssh-dss; gsctl: ssh-ed25519)",
                "no MAC (server: umac-64@openssh.com; gsctl: hmac-sha2-256)"
            ]
        );
        offer.choose(&AlgorithmChoice::parse(AlgorithmKind::Kex, "ecdh-sha2-nistp256").unwrap());
        assert_eq!(lists.missing(&offer)[0], "no key exchange (server: curve25519-sha256; gsctl: ecdh-sha2-nistp256)");
    }

    #[test]
    fn other_bytes_are_no_list() {
        assert_eq!(read(b"HTTP/1.1 400\r\n"), KexRead::Short);
        assert_eq!(read(b"SSH-2.0-x\n\0\0\0\x01\x04"), KexRead::Foreign);
        assert_eq!(read(b"SSH-2.0-x\n\xff\xff\xff\xff\x04"), KexRead::Foreign);
        let mut bytes = hello(["a"; 6]);
        let at = bytes.len() - 1 - 20 - 1;
        bytes[at - 4] = 0x1b;
        assert!(matches!(read(&bytes), KexRead::Foreign));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
            let mut framed = b"SSH-2.0-x\n\0\0\0\x20\x04\x14".to_vec();
            framed.extend(bytes);
            let _ = read(&framed);
        }
    }
}
