//! The list of algorithms that a server sends before anything is encrypted (RFC 4253, sections 4.2, 6 and 7.1).
//!
//! libssh2 only says that there is none in common. So after that one more connection reads the list.

use super::algorithms::{Kind, Offer, is_marker};
use super::wire::Wire;

/// Longest beginning of a connection that is read.
const LONGEST: usize = 64 * 1024;
/// The number of the message.
const KEXINIT: u8 = 20;

/// What a server has, best first, of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lists {
    kex: Vec<String>,
    host_key: Vec<String>,
    cipher: [Vec<String>; 2],
    mac: [Vec<String>; 2],
}

/// What has been read so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// All of it.
    Whole(Lists),
    /// More is to come.
    Short,
    /// It is something else.
    Foreign,
}

impl Lists {
    /// Of what kinds server and client have none in common: a sentence for each.
    pub(super) fn missing(&self, offer: &Offer) -> Vec<String> {
        let mut said = Vec::new();
        for kind in Kind::ALL {
            let ours = offer.of(kind);
            let lists: &[&[String]] = match kind {
                Kind::Kex => &[&self.kex],
                Kind::HostKey => &[&self.host_key],
                Kind::Cipher => &[&self.cipher[0], &self.cipher[1]],
                Kind::Mac => &[&self.mac[0], &self.mac[1]],
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
pub(super) async fn ask(wire: &Wire) -> Option<Lists> {
    // Some servers wait for this before they send theirs.
    wire.write_all(b"SSH-2.0-gsctl\r\n").await.ok()?;
    let mut bytes = Vec::new();
    let lists = loop {
        match read(&bytes) {
            Read::Whole(lists) => break Some(lists),
            Read::Short if bytes.len() < LONGEST && wire.read(&mut bytes).await.ok()? > 0 => {}
            Read::Short | Read::Foreign => break None,
        }
    };
    wire.shut();
    lists
}

/// Reads the beginning of what a server sends.
pub(super) fn read(bytes: &[u8]) -> Read {
    // Lines before the one that says `SSH-` are allowed.
    let mut rest = bytes;
    loop {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Read::Short };
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        if line.starts_with(b"SSH-") {
            break;
        }
    }
    // Length of what follows it, length of the padding, number of the message, 16 random bytes.
    let Some((length, packet)) = number(rest) else { return Read::Short };
    if !(22..=LONGEST).contains(&length) {
        return Read::Foreign;
    }
    let Some(packet) = packet.get(..length) else { return Read::Short };
    if packet[1] != KEXINIT {
        return Read::Foreign;
    }
    lists(&packet[18..]).map_or(Read::Foreign, Read::Whole)
}

fn lists(mut bytes: &[u8]) -> Option<Lists> {
    let mut next = || {
        let (length, rest) = number(bytes)?;
        let text = std::str::from_utf8(rest.get(..length)?).ok()?;
        bytes = &rest[length..];
        // They end up in a message: names are printable ASCII.
        text.chars()
            .all(|c| c.is_ascii_graphic())
            .then(|| text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<String>>())
    };
    Some(Lists { kex: next()?, host_key: next()?, cipher: [next()?, next()?], mac: [next()?, next()?] })
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_be_bytes(*head)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::super::algorithms::Choice;
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
            assert_eq!(read(&bytes[..end]), Read::Short, "{end}");
        }
        let Read::Whole(lists) = read(&bytes) else { panic!("{bytes:?}") };
        let mut offer = Offer::default();
        offer.choose(&Choice::parse(Kind::HostKey, "ssh-ed25519").unwrap());
        offer.choose(&Choice::parse(Kind::Mac, "hmac-sha2-256").unwrap());
        assert_eq!(
            lists.missing(&offer),
            [
                "no type of host key (server: ssh-dss; gsctl: ssh-ed25519)",
                "no MAC (server: umac-64@openssh.com; gsctl: hmac-sha2-256)"
            ]
        );
        offer.choose(&Choice::parse(Kind::Kex, "ecdh-sha2-nistp256").unwrap());
        assert_eq!(lists.missing(&offer)[0], "no key exchange (server: curve25519-sha256; gsctl: ecdh-sha2-nistp256)");
    }

    #[test]
    fn other_bytes_are_no_list() {
        assert_eq!(read(b"HTTP/1.1 400\r\n"), Read::Short);
        assert_eq!(read(b"SSH-2.0-x\n\0\0\0\x01\x04"), Read::Foreign);
        assert_eq!(read(b"SSH-2.0-x\n\xff\xff\xff\xff\x04"), Read::Foreign);
        let mut bytes = hello(["a"; 6]);
        let at = bytes.len() - 1 - 20 - 1;
        bytes[at - 4] = 0x1b;
        assert!(matches!(read(&bytes), Read::Foreign));
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
