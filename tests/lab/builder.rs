//! What a test may wish of its lab, and how one is built.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::account::{self, Account, USER};
use super::address::Block;
use super::{Key, Lab, MOUNT, Node, key, sshd};

/// `/etc/profile` of a node: as little as a login shell needs.
const PROFILE: &str = "# /etc/profile of a lab node\nPATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\nexport PATH\n";

/// What every `/etc/sudoers` of a lab begins with: no log of the machine's, and a lecture each time, as the strictest would.
const SUDOERS: &str = "Defaults !syslog, logfile=/run/sudo.log, lecture=always, lecture_status_dir=/run/sudo/lectured\n\
                       Defaults env_reset, use_pty\nroot ALL=(ALL:ALL) ALL\n";

/// Wishes for a lab.
#[derive(Debug, Clone)]
pub(crate) struct Builder {
    nodes: usize,
    sshd_config: String,
    host_keys: Vec<Key>,
    login: String,
    shell: Option<String>,
    users: Vec<(String, String)>,
    sudoers: Option<String>,
    dir: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            nodes: 1,
            sshd_config: String::new(),
            host_keys: vec![Key::ed25519()],
            login: USER.to_owned(),
            shell: None,
            users: Vec::new(),
            sudoers: None,
            dir: None,
        }
    }
}

impl Builder {
    /// How many nodes; one if not said.
    pub(crate) fn nodes(mut self, n: usize) -> Self {
        self.nodes = n;
        self
    }

    /// More lines for every `sshd_config`; they win over the lab's own.
    pub(crate) fn sshd_config(mut self, lines: &str) -> Self {
        self.sshd_config.push_str(lines);
        self
    }

    /// The kinds of host key; ed25519 alone if not said.
    pub(crate) fn host_keys(mut self, keys: &[Key]) -> Self {
        self.host_keys = keys.to_vec();
        self
    }

    /// Who logs in: `omm` if not said. An ordinary user can only log in as himself.
    pub(crate) fn login(mut self, user: &str) -> Self {
        user.clone_into(&mut self.login);
        self
    }

    /// The login shell; `/bin/sh` if not said.
    pub(crate) fn shell(mut self, shell: &str) -> Self {
        self.shell = Some(shell.to_owned());
        self
    }

    /// One more account, with a home `home-NAME`; only root's labs can have one.
    pub(crate) fn user(mut self, name: &str, shell: &str) -> Self {
        self.users.push((name.to_owned(), shell.to_owned()));
        self
    }

    /// Lines for the `/etc/sudoers` of every node; only root's labs can have one. sudo leaves no trace outside of the node.
    pub(crate) fn sudoers(mut self, lines: &str) -> Self {
        self.sudoers = Some(format!("{SUDOERS}{lines}"));
        self
    }

    /// Where the lab's directory is made; the temporary directory if not said.
    pub(crate) fn inside(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Starts the lab.
    #[track_caller]
    pub(crate) fn start(self) -> Lab {
        let private = rustix::process::geteuid().is_root();
        assert!(private || self.users.is_empty(), "only root's labs can have more users");
        assert!(private || self.sudoers.is_none(), "only root's labs can have sudoers");
        let mut name = tempfile::Builder::new();
        name.prefix("gsctl-lab-");
        let dir = self.dir.as_ref().map_or_else(|| name.tempdir(), |dir| name.tempdir_in(dir));
        let dir = dir.expect("the temporary directory is writable");
        // The login user passes through; without namespaces that is who made it.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("it is ours");
        make_dirs(dir.path(), &["client/home/.ssh"]);
        fs::set_permissions(dir.path().join("client/home/.ssh"), Permissions::from_mode(0o700)).expect("it is ours");
        if private {
            fs::create_dir_all(MOUNT).unwrap_or_else(|error| panic!("mkdir {MOUNT}: {error}"));
        }

        let block = Block::take(self.nodes);
        let nodes: Vec<_> =
            (0..self.nodes).map(|index| self.node(dir.path(), index, block.host(index), private)).collect();
        let mut keys = vec![Key::ed25519().start_making(&dir.path().join("client/key"))];
        for node in &nodes {
            let files = node.dir.join(".lab");
            keys.extend(self.host_keys.iter().map(|key| key.start_making(&files.join(format!("host_{}", key.kind())))));
        }
        keys.into_iter().for_each(key::finish);

        for node in &nodes {
            fs::copy(dir.path().join("client/key.pub"), node.dir.join(".lab/authorized_keys")).expect("both are ours");
            node.boot();
        }
        for node in &nodes {
            node.wait_until_booted();
        }
        let hosts = nodes.iter().map(|node| (node.name.clone(), node.address)).collect();
        let lab = Lab { nodes, hosts, _block: block, dir };
        lab.write_client_files();
        lab
    }

    /// Makes the files of a node.
    fn node(&self, lab: &Path, index: usize, address: SocketAddr, private: bool) -> Node {
        let name = format!("node{}", index + 1);
        let dir = lab.join(format!("n{}", index + 1));
        let base = if private { PathBuf::from(MOUNT) } else { dir.clone() };
        make_dirs(&dir, &["app", "data", "log", "home", "cron", "root"]);
        make_dirs(&dir.join(".lab"), &["etc", "bin", "run/sshd", "tmp", "vartmp"]);
        for open in ["tmp", "vartmp"] {
            fs::set_permissions(dir.join(".lab").join(open), Permissions::from_mode(0o1777)).expect("it is ours");
        }
        let crontab = include_str!("crontab.sh").replace("@BASE@", &base.display().to_string());
        fs::write(dir.join(".lab/bin/crontab"), crontab).expect("it is ours");
        fs::set_permissions(dir.join(".lab/bin/crontab"), Permissions::from_mode(0o755)).expect("it is ours");
        fs::write(dir.join(".lab/etc/profile"), PROFILE).expect("it is ours");

        if let Some(sudoers) = &self.sudoers {
            let file = dir.join(".lab/etc/sudoers");
            fs::write(&file, sudoers).expect("it is ours");
            // sudo wants it so.
            fs::set_permissions(&file, Permissions::from_mode(0o440)).expect("it is ours");
            chown(&file, Some(0), Some(0)).expect("root may");
        }

        let account = if private {
            let accounts = Account::all(&base, self.shell.as_deref().unwrap_or("/bin/sh"), &self.users);
            account::write_files(&dir.join(".lab/etc"), &accounts);
            for Account { uid, gid, home, .. } in &accounts {
                let home = dir.join(home.strip_prefix(&base).expect("homes are under the base"));
                fs::create_dir_all(&home).expect("it is ours");
                chown(&home, Some(*uid), Some(*gid)).expect("root may");
            }
            let login = accounts.into_iter().find(|account| account.name == self.login);
            let login = login.unwrap_or_else(|| panic!("the lab has no user `{}`", self.login));
            for own in ["", "app", "data", "log", "cron"] {
                chown(dir.join(own), Some(login.uid), Some(login.gid)).expect("root may");
            }
            // Any account may have a crontab.
            fs::set_permissions(dir.join("cron"), Permissions::from_mode(0o1777)).expect("it is ours");
            login
        } else {
            Account::own(&base)
        };

        let force_command = self.shell.as_deref().filter(|_| !private);
        let force_command = force_command.map(|shell| format!("exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""));
        let node = Node { name, address, dir, base, private, account, running: std::sync::Mutex::new(None) };
        let mut environment = vec![node.mark(), format!("PATH={}", node.search_path())];
        if !private {
            environment.push(format!("HOME={}", node.account.home.display()));
        }
        let config = sshd::Config {
            address,
            files: &node.base.join(".lab"),
            host_keys: &self.host_keys.iter().map(Key::kind).collect::<Vec<_>>(),
            environment: &environment,
            force_command: force_command.as_deref(),
            extra: &self.sshd_config,
        };
        fs::write(node.dir.join(".lab/sshd_config"), config.text()).expect("it is ours");
        node
    }
}

fn make_dirs(dir: &Path, names: &[&str]) {
    for name in names {
        fs::create_dir_all(dir.join(name)).unwrap_or_else(|error| panic!("mkdir {}/{name}: {error}", dir.display()));
    }
}
