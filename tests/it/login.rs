//! Logging in with key files and agents, and what is said when that fails.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::gsctl::Gsctl;
use crate::lab::{Key, Lab, wait};

/// A ping that has no key yet.
fn ping(lab: &Lab) -> Gsctl {
    let known_hosts = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-F", "none", "-o", &known_hosts, "ping"])
}

/// A real ssh-agent for as long as the value lives.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(lab: &Lab, name: &str) -> Self {
        let socket = lab.dir().join(name);
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("ssh-agent: install openssh-client");
        let agent = Self { child, socket };
        // 1 is an agent without keys, 2 none.
        wait::until("the agent answers", || agent.ssh_add(&["-l"]) == 1);
        agent
    }

    fn ssh_add(&self, arguments: &[&str]) -> i32 {
        let mut command = Command::new("ssh-add");
        command.args(arguments).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null());
        command.output().unwrap().status.code().unwrap()
    }

    fn add(&self, key: &Path) {
        assert_eq!(self.ssh_add(&["-q", &key.display().to_string()]), 0);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_kind_of_key_file() {
    let lab = Lab::start(1);
    for key in [Key::ed25519(), Key::ecdsa(), Key::rsa(), Key::ecdsa().pem(), Key::rsa().pem()] {
        let path = lab.add_key(&key);
        ping(&lab).arg("-i").arg(&path).run().expect(0);
        fs::remove_file(path.with_extension("pub")).unwrap();
        ping(&lab).arg("-i").arg(&path).run().expect(0);
    }
    // Where ssh looks by itself, and by the hosts file.
    let path = lab.add_key(&Key::ed25519());
    let line = fs::read_to_string(lab.hosts_file()).unwrap();
    let file = lab.write_hosts_file(&line.replacen('\n', &format!(" identity={}\n", path.display()), 1));
    ping(&lab).hosts_file(file).run().expect(0);
    fs::copy(&path, lab.client_home().join(".ssh/id_ed25519")).unwrap();
    ping(&lab).run().expect(0);
}

#[test]
fn encrypted_keys() {
    let lab = Lab::start(3);
    for key in [Key::ed25519(), Key::ecdsa().pem()] {
        let path = lab.add_key(&key.passphrase("open sesame"));
        // Nobody to ask.
        let run = ping(&lab).arg("-i").arg(&path).run().expect(2);
        let said = format!("error: key file `{}` is encrypted, and there is no terminal", path.display());
        assert!(run.stderr.starts_with(&said), "{run}");
        assert!(
            run.stderr.contains(&format!("\nhint: load it into an ssh-agent: ssh-add {}", path.display())),
            "{run}"
        );

        // On a terminal it is asked once, and not once a host.
        let asked = |typed: &str, more: &str| {
            let inner = format!(
                "{} -f {} -F none -o UserKnownHostsFile={} -i {} {more} ping",
                env!("CARGO_BIN_EXE_gsctl"),
                lab.hosts_file().display(),
                lab.known_hosts().display(),
                path.display(),
            );
            let mut command = Command::new("script");
            command.args(["-qec", &inner, "/dev/null"]).env("HOME", lab.client_home()).env_remove("SSH_AUTH_SOCK");
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script: util-linux");
            // What is typed waits in the terminal until it is asked for.
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), typed.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (status, text) = asked("open sesame\n", "");
        assert_eq!((status, text.matches("Passphrase for key").count()), (0, 1), "{text}");
        assert!(!text.contains("\nopen sesame"), "it was echoed\n{text}");
        let (status, text) = asked("wrong\nopen sesame\n", "");
        assert_eq!((status, text.matches("Passphrase for key").count()), (0, 2), "{text}");
        let (status, text) = asked("a\nb\nc\n", "");
        assert_eq!(status, 2, "{text}");
        assert!(text.contains("wrong passphrase, 3 times"), "{text}");
        // BatchMode: nobody is asked.
        let (status, text) = asked("", "-o BatchMode=yes");
        assert_eq!((status, text.matches("Passphrase for key").count()), (2, 0), "{text}");
    }
}

#[test]
fn key_files_that_are_of_no_use() {
    let lab = Lab::start(1);
    let logins = || lab.node(1).sshd_log().matches("Connection from").count();
    let before = logins();
    let folder = lab.dir().join("client");
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let key = fs::read_to_string(lab.key()).unwrap();
    let open = write("open", &key, 0o644);
    let half = write("half", &key[..key.len() / 2], 0o600);
    for (path, said, hint) in [
        (
            lab.key().with_extension("pub"),
            "is a public key, not a private key",
            format!("most often `{}`", lab.key().display()),
        ),
        (folder.join("missing"), "does not exist", "`-i`".to_owned()),
        (open.clone(), "has mode 644: others can read it", format!("chmod 600 {}", open.display())),
        (half, "cannot be read as a key", "ssh-keygen -y -f".to_owned()),
        (write("empty", "", 0o600), "is empty", "ssh-keygen".to_owned()),
        (write("text", "hello\n", 0o600), "is something else", "ssh-keygen".to_owned()),
        (folder.clone(), "is a folder", String::new()),
    ] {
        let run = ping(&lab).arg("-i").arg(&path).run().expect(2);
        let wanted = format!("error: key file `{}` {said}", path.display());
        assert!(run.stderr.starts_with(&wanted), "`{wanted}` is missing\n{run}");
        assert!(run.stderr.contains(&hint), "`{hint}` is missing\n{run}");
    }
    assert_eq!(logins(), before, "somebody was contacted");
    // In their usual places they are passed over, as ssh does, and named.
    fs::rename(open, lab.client_home().join(".ssh/id_rsa")).unwrap();
    fs::copy(lab.key(), lab.client_home().join(".ssh/id_ed25519")).unwrap();
    let run = ping(&lab).run().expect(0);
    assert!(run.stderr.contains("warning: key file `") && run.stderr.contains("going on without it"), "{run}");
}

#[test]
fn refused_logins_name_the_methods() {
    let lab = Lab::start(1);
    let wrong = lab.unknown_key(&Key::ed25519());
    let run = ping(&lab).arg("-i").arg(wrong).run().expect(4);
    let user = lab.user();
    let said = format!("auth: permission denied for `{user}` (1 key offered; the server takes publickey)");
    assert!(run.text().contains(&said), "{run}");
    assert!(run.stderr.contains(&format!("hint: is the public key in ~{user}/.ssh/authorized_keys")), "{run}");
    let run = ping(&lab).run().expect(4);
    assert!(
        run.text().contains("(0 keys offered;") && run.stderr.contains("hint: no key to offer: name one with -i"),
        "{run}"
    );
    let run = ping(&lab).arg("-i").arg(lab.key()).args(["-l", "nosuchuser"]).run().expect(4);
    assert!(run.text().contains("permission denied for `nosuchuser`"), "{run}");
}

#[test]
fn agents() {
    let lab = Lab::start(3);
    let agent = Agent::start(&lab, "agent");
    let with = |socket: &Path| ping(&lab).env("SSH_AUTH_SOCK", socket);
    // Without keys it is as if there were none.
    with(&agent.socket).run().expect(4);
    let run = with(&agent.socket).arg("-i").arg(lab.key()).run().expect(0);
    assert!(!run.stderr.contains("warning"), "{run}");

    // Wrong keys first, then the right ones: an RSA key signs with SHA-2.
    agent.add(&lab.unknown_key(&Key::ed25519()));
    agent.add(&lab.add_key(&Key::rsa()));
    with(&agent.socket).run().expect(0);
    // Named by IdentityAgent, stronger than the environment; `none` and IdentitiesOnly leave it out.
    let option = format!("IdentityAgent={}", agent.socket.display());
    ping(&lab).args(["-o", &option]).run().expect(0);
    with(Path::new("/nonexistent")).args(["-o", &option]).run().expect(0);
    ping(&lab).env("MY_AGENT", &agent.socket).args(["-o", "IdentityAgent=$MY_AGENT"]).run().expect(0);
    with(&agent.socket).args(["-o", "IdentityAgent=none"]).run().expect(4);
    with(&agent.socket).args(["-o", "IdentitiesOnly=yes"]).run().expect(4);
    // A key named with -i goes first, and the agent's after it.
    with(&agent.socket).arg("-i").arg(lab.unknown_key(&Key::ed25519())).run().expect(0);

    // A dead one: said, and the key file is still used.
    let dead = agent.socket.clone();
    drop(agent);
    for socket in [dead.as_path(), Path::new("/nonexistent")] {
        let run = with(socket).arg("-i").arg(lab.key()).run().expect(0);
        assert_eq!(run.stderr.matches("warning: the ssh-agent is of no use").count(), 1, "{run}");
        assert!(run.stderr.contains(&socket.display().to_string()), "{run}");
        assert!(run.stderr.contains("; start an agent (`eval $(ssh-agent)`), or name a key file with `-i`"), "{run}");
        with(socket).run().expect(4);
    }
}
