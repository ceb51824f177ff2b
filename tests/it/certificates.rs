//! User certificates: beside a key, named in `ssh_config`, in the agent; and what is said of one that is no good.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failures::{one, says};
use crate::gsctl::Gsctl;
use crate::lab::{Key, Lab};

/// A certificate authority that every node trusts.
struct Authority {
    key: PathBuf,
}

impl Authority {
    fn new(lab: &Lab) -> Self {
        let key = lab.unknown_key(&Key::ed25519());
        for node in lab.nodes() {
            fs::copy(key.with_extension("pub"), node.outside(".lab/user_ca.pub")).unwrap();
        }
        Self { key }
    }

    /// Signs a key; the certificate lies where ssh looks for it.
    fn sign(&self, key: &Path, principals: &str, validity: &str) -> PathBuf {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-I", "lab", "-n", principals, "-V", validity, "-s"]).arg(&self.key);
        let output = command.arg(key.with_extension("pub")).output().expect("ssh-keygen: install openssh-client");
        assert!(output.status.success(), "{output:?}");
        PathBuf::from(format!("{}-cert.pub", key.display()))
    }
}

fn ping(lab: &Lab, key: &Path) -> Gsctl {
    let known_hosts = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).arg("-i").arg(key);
    gsctl.args(["-F", "none", "-o", &known_hosts, "ping"])
}

#[test]
fn user_certificates() {
    let base = if rustix::process::geteuid().is_root() { crate::lab::MOUNT } else { "%h/.." };
    let lab = Lab::builder().sshd_config(&format!("TrustedUserCAKeys {base}/.lab/user_ca.pub\n")).start();
    let authority = Authority::new(&lab);
    let user = lab.user();
    for kind in [Key::ed25519(), Key::ecdsa(), Key::rsa()] {
        let key = lab.unknown_key(&kind);
        ping(&lab, &key).run().expect(4);
        let certificate = authority.sign(&key, user, "-1h:+1h");
        ping(&lab, &key).run().expect(0);
        // Elsewhere it has to be named.
        let moved = lab.dir().join("client/moved.pub");
        fs::rename(&certificate, &moved).unwrap();
        ping(&lab, &key).run().expect(4);
        ping(&lab, &key).args(["-o", &format!("CertificateFile={}", moved.display())]).run().expect(0);
        let log = lab.node(1).sshd_log();
        assert!(log.contains(&format!("Accepted publickey for {user}")) && log.contains("-CERT"), "{log}");
    }

    let key = lab.unknown_key(&Key::ed25519());
    authority.sign(&key, user, "20200101000000Z:20200102000000Z");
    let host = one(ping(&lab, &key), 4);
    says(
        &host,
        "unreachable",
        "auth",
        &format!("certificate `{}-cert.pub` expired at 2020-01-02T00:00:00Z", key.display()),
    );
    assert_eq!(host["hint"], "have it signed again", "{host:#}");
    authority.sign(&key, user, "20700101000000Z:20800101000000Z");
    says(&one(ping(&lab, &key), 4), "unreachable", "auth", "is not valid before 2070-01-01T00:00:00Z");
    authority.sign(&key, "alice,bob", "-1h:+1h");
    let host = one(ping(&lab, &key), 4);
    says(&host, "unreachable", "auth", &format!("is not for `{user}`"));
    assert!(host["hint"].as_str().unwrap().starts_with("it is for alice, bob"), "{host:#}");

    // A file that is none, or belongs to another key, is named and passed over: the key may do without.
    let other = lab.unknown_key(&Key::ed25519());
    let certificate = authority.sign(&other, user, "-1h:+1h");
    let beside = PathBuf::from(format!("{}-cert.pub", lab.key().display()));
    fs::rename(certificate, &beside).unwrap();
    let run = ping(&lab, &lab.key()).run().expect(0);
    assert!(run.stderr.contains("is not for the key"), "{run}");
    fs::write(&beside, "ssh-ed25519-cert-v01@openssh.com AAAA\n").unwrap();
    let run = ping(&lab, &lab.key()).run().expect(0);
    assert!(run.stderr.contains(&format!("warning: certificate `{}` cannot be read", beside.display())), "{run}");
}

/// Known only by who signed its host certificate: gsctl does not check those, and must not take the host for known.
#[test]
fn a_host_that_only_an_authority_vouches_for() {
    let lab = Lab::start(1);
    let authority = Authority::new(&lab);
    let public = fs::read_to_string(authority.key.with_extension("pub")).unwrap();
    fs::write(lab.known_hosts(), format!("@cert-authority * {public}")).unwrap();
    let host = one(ping(&lab, &lab.key()), 4);
    says(&host, "unreachable", "host_key", "known_hosts has only a certificate authority for it");
    assert!(host["hint"].as_str().unwrap().contains("ssh-keyscan"), "{host:#}");
}
