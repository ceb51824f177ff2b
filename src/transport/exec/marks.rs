//! The two marks of a command: one that anybody may know, and one that nobody on the node may.

use std::fmt::Write as _;

/// What the public ids of a run begin with.
#[derive(Debug, Clone)]
pub struct Mark(String);

impl Default for Mark {
    fn default() -> Self {
        Self(format!("gsctl-{}", hex::<6>()))
    }
}

impl Mark {
    /// The marks of one command more.
    #[must_use]
    pub fn command(&self) -> Marks {
        Marks { id: format!("{}-{}", self.0, hex::<6>()), secret: format!("gsctl{}", hex::<16>()) }
    }
}

/// The marks of one command.
#[derive(Debug, Clone)]
pub struct Marks {
    /// Stands in the arguments of what carries the command; by it the killer finds that.
    pub id: String,
    /// Tells the wrapper's own lines from everything that the command prints. Who cannot read the wrapper's memory cannot know it.
    pub secret: String,
}

impl Marks {
    /// Marks that are not random.
    #[cfg(test)]
    pub(crate) fn of(secret: &str) -> Self {
        Self { id: format!("{secret}-id"), secret: secret.to_owned() }
    }
}

/// Random bytes of the system's.
fn hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    let mut filled = 0;
    while filled < BYTES {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            // A kernel that is older than the call: what is left is hard to guess, too.
            Err(_) => {
                bytes[filled..].fill_with(|| fastrand::u8(..));
                filled = BYTES;
            }
        }
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
