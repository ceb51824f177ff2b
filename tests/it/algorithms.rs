//! Algorithms, addresses and environment from `ssh_config`, as the server's log and the commands see them.

use std::fs;

use crate::gsctl::{Gsctl, Run};
use crate::lab::{Key, Lab};

fn ping(lab: &Lab, options: &[&str]) -> Gsctl {
    let gsctl = lab.gsctl().args(["--json", "-"]);
    options.iter().fold(gsctl, |gsctl, option| gsctl.args(["-o", option])).arg("ping")
}

/// The error of the only host.
#[track_caller]
fn refused(run: Run) -> String {
    let run = run.expect(4);
    run.json()["hosts"][0]["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn chosen_algorithms_are_agreed_on() {
    let lab = Lab::builder().host_keys(&[Key::ed25519(), Key::ecdsa()]).sshd_config("LogLevel DEBUG1\n").start();
    let log = || lab.node(1).sshd_log();
    for (options, agreed) in [
        (&["Ciphers=aes192-ctr", "MACs=hmac-sha2-512"][..], "client->server cipher: aes192-ctr MAC: hmac-sha2-512"),
        (&["Ciphers=aes192-ctr", "MACs=hmac-sha2-512"], "server->client cipher: aes192-ctr MAC: hmac-sha2-512"),
        (&["Ciphers=^newer@example.com,aes256-*", "MACs=-*etm*"], "client->server cipher: aes256-"),
        (&["KexAlgorithms=ecdh-sha2-nistp384"], "kex: algorithm: ecdh-sha2-nistp384"),
        (&["HostKeyAlgorithms=ecdsa-sha2-*"], "kex: host key algorithm: ecdsa-sha2-nistp256"),
        (&["HostKeyAlgorithms=+newer", "KexAlgorithms=-ecdh*"], "kex: host key algorithm: "),
    ] {
        let before = log().len();
        ping(&lab, options).run().expect(0);
        let log = log();
        assert!(log[before..].contains(agreed), "{options:?}: {agreed}\n{}", &log[before..]);
    }

    // A recorded key of another type is asked for, within what is allowed.
    let address = lab.node(1).address();
    let key = fs::read_to_string(lab.dir().join("n1/.lab/host_ecdsa.pub")).unwrap();
    let known = lab.dir().join("client/only-ecdsa");
    fs::write(&known, format!("[{}]:{} {key}", address.ip(), address.port())).unwrap();
    let knowing = |option: &str| {
        let known = format!("UserKnownHostsFile={}", known.display());
        let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).arg("-i").arg(lab.key()).args(["-F", "none"]);
        gsctl.args(["-o", &known, "-o", "GlobalKnownHostsFile=none", "-o", option, "--json", "-", "ping"]).run()
    };
    knowing("HostKeyAlgorithms=ssh-ed25519,ecdsa-sha2-nistp256").expect(0);
    let said = refused(knowing("HostKeyAlgorithms=ssh-ed25519"));
    assert!(said.contains("line 1 has ecdsa-sha2-nistp256, and `HostKeyAlgorithms` allows none such"), "{said}");
}

#[test]
fn what_is_missing_is_named_with_both_lists() {
    let config = "Ciphers aes128-ctr\nMACs umac-64@openssh.com\nKexAlgorithms curve25519-sha256\n";
    let lab = Lab::builder().sshd_config(config).start();
    let said = refused(ping(&lab, &["ConnectionAttempts=12", "MACs=hmac-sha2-256,hmac-sha2-512"]).run());
    let want = "no common algorithms with the server: no MAC (server: umac-64@openssh.com; gsctl: \
                hmac-sha2-256,hmac-sha2-512)";
    assert!(said.ends_with(want), "{said}");
    let options = ["ConnectionAttempts=12", "Ciphers=aes256-ctr", "KexAlgorithms=ecdh-sha2-nistp256"];
    let said = refused(ping(&lab, &options).run());
    for want in [
        "no key exchange (server: curve25519-sha256; gsctl: ecdh-sha2-nistp256)",
        "no cipher (server: aes128-ctr; gsctl: aes256-ctr)",
        "no MAC (server: umac-64@openssh.com; gsctl: ",
    ] {
        assert!(said.contains(want), "{said}");
    }
}

#[test]
fn environment_and_addresses() {
    let lab = Lab::builder().sshd_config("AcceptEnv LC_* GSCTL_*\n").start();
    let run = |options: &[&str]| {
        let gsctl = lab.gsctl().env("LC_LAB", "sent along").env("GSCTL_OWN", "no");
        let gsctl = options.iter().fold(gsctl, |gsctl, option| gsctl.args(["-o", option]));
        gsctl.args(["exec", "--", "echo \"[$LC_LAB|$GSCTL_SET|$GSCTL_OWN|$REFUSED] ${SSH_CONNECTION%% *}\""]).run()
    };
    let text = run(&["SendEnv=LC_L*", "SetEnv=REFUSED=x GSCTL_SET=set"]).expect(0).text();
    assert!(text.contains("[sent along|set||] "), "{text}");
    let text = run(&["BindAddress=127.0.0.201"]).expect(0).text();
    assert!(text.contains("|||] 127.0.0.201"), "{text}");

    let fails = |options: &[&str]| refused(ping(&lab, options).run());
    let said = fails(&["AddressFamily=inet6"]);
    assert!(said.contains("has no IPv6 address"), "{said}");
    let said = fails(&["BindAddress=192.0.2.77", "ConnectionAttempts=1"]);
    assert!(said.contains("no free local port or address"), "{said}");
    ping(&lab, &["AddressFamily=inet"]).run().expect(0);
    let run = ping(&lab, &["AddressFamily=inet6", "BindAddress=127.0.0.1"]).run().expect(2);
    assert!(run.stderr.contains("`AddressFamily` wants IPv6 and `BindAddress` is IPv4"), "{run}");
}
