//! Who logs in on the nodes: private account files, so that nothing on the machine itself is changed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The password of every account; it works where the test turns `PasswordAuthentication` on.
pub(crate) const PASSWORD: &str = "open sesame";

/// What the openGauss documents call their user.
pub(crate) const USER: &str = "omm";

/// `openssl passwd -6 -salt gsctllab "open sesame"`.
const HASH: &str = "$6$gsctllab$JwjoA.fKNjg6YCaghEtf.cdXaBdmc1JFE0QFt21DvaTIpVh2BzgNan9FTvOoHfT9ARIn6XtqGmLgKSw1zZb5j/";

/// The first user id of the lab's accounts: far from those of people and of services.
const FIRST_ID: u32 = 64_001;

/// One account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: PathBuf,
    pub(crate) shell: String,
}

impl Account {
    /// The lab's own accounts on a node with this base: root, the cluster user, and more on demand.
    pub(crate) fn all(base: &Path, shell: &str, more: &[(String, String)]) -> Vec<Self> {
        let root = Self { name: "root".to_owned(), uid: 0, gid: 0, home: base.join("root"), shell: shell.to_owned() };
        let cluster = (USER.to_owned(), shell.to_owned());
        let users = std::iter::once(&cluster).chain(more).zip(FIRST_ID..).map(|((name, shell), id)| Self {
            name: name.clone(),
            uid: id,
            gid: id,
            home: if name == USER { base.join("home") } else { base.join(format!("home-{name}")) },
            shell: shell.clone(),
        });
        std::iter::once(root).chain(users).collect()
    }

    /// Whoever runs the test, for a lab without namespaces.
    pub(crate) fn own(base: &Path) -> Self {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
        let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let id = uid.to_string();
        let entry = entry.into_iter().find(|fields| fields.get(2) == Some(&id.as_str()));
        let entry = entry.unwrap_or_else(|| panic!("user {uid} is not in /etc/passwd, so sshd would not let it in"));
        Self {
            name: entry[0].to_owned(),
            uid,
            gid,
            home: base.join("home"),
            shell: entry.last().copied().unwrap_or("/bin/sh").to_owned(),
        }
    }
}

/// Writes `passwd`, `shadow` and `group` into `dir`: the machine's entries and the lab's.
pub(crate) fn write_files(dir: &Path, accounts: &[Account]) {
    let (mut passwd, mut shadow, mut group) = (others("/etc/passwd", accounts), String::new(), String::new());
    for line in passwd.lines() {
        let _ = writeln!(shadow, "{}:*:19000:0:99999:7:::", line.split(':').next().unwrap_or_default());
    }
    group.push_str(&others("/etc/group", accounts));
    for Account { name, uid, gid, home, shell } in accounts {
        let _ = writeln!(passwd, "{name}:x:{uid}:{gid}::{}:{shell}", home.display());
        let _ = writeln!(shadow, "{name}:{HASH}:19000:0:99999:7:::");
        let _ = writeln!(group, "{name}:x:{gid}:");
    }
    for (file, text) in [("passwd", passwd), ("shadow", shadow), ("group", group)] {
        fs::write(dir.join(file), text).expect("account files are writable");
    }
}

/// The machine's lines for every name that is not one of the lab's.
fn others(file: &str, accounts: &[Account]) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let ours = |line: &str| accounts.iter().any(|account| line.split(':').next() == Some(&account.name));
    text.lines().filter(|line| !ours(line)).fold(String::new(), |text, line| text + line + "\n")
}
