//! Accounts whose HOME is no directory (`/dev/null`, as services have it): what ssh finds through the password database is
//! found, and what is no directory counts as absent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::gsctl::Gsctl;
use crate::lab::Lab;

/// As an account with this home in the password database, and with this HOME.
fn account(lab: &Lab, gsctl: Gsctl, home: &str, named: &str) -> Gsctl {
    let passwd = lab.dir().join("client/passwd");
    let own = rustix::process::getuid();
    let (uid, gid) = (own.as_raw(), rustix::process::getgid().as_raw());
    let others = fs::read_to_string("/etc/passwd").unwrap();
    let others = others.lines().filter(|line| line.split(':').nth(2) != Some(&uid.to_string())).collect::<Vec<_>>();
    let text = format!("{}:x:{uid}:{gid}::{home}:/bin/sh\n{}\n", lab.user(), others.join("\n"));
    fs::write(&passwd, text).unwrap();
    let mut gsctl = gsctl.with_files(&[(passwd, "/etc/passwd".to_owned())]).env("HOME", named);
    for variable in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        gsctl = gsctl.env(variable, "");
    }
    gsctl
}

#[test]
fn the_home_of_the_password_database_stands_in_for_a_home_that_is_none() {
    let lab = Lab::start(1);
    let home = lab.dir().join("client/account");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    let config = home.join(".ssh/config");
    fs::write(&config, format!("Host *\n    IdentityFile {}\n    UserKnownHostsFile ~/known\n", lab.key().display()))
        .unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    fs::copy(lab.known_hosts(), home.join("known")).unwrap();
    let home = home.display().to_string();
    for named in ["/dev/null", "/nonexistent", ""] {
        let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).arg("-N").args(["exec", "echo through"]);
        let run = account(&lab, gsctl, &home, named).run().expect(0);
        assert_eq!(run.text(), "through\n", "HOME={named}\n{run}");
        assert!(!run.stderr.contains("warning"), "HOME={named}\n{run}");
    }
    // The run is in the journal there.
    let run = account(&lab, lab.bare_gsctl().arg("runs"), &home, "/dev/null").run().expect(0);
    assert!(run.text().contains("exec"), "{run}");
    // A directory is decisive.
    let other = lab.client_home().display().to_string();
    let gsctl = lab.bare_gsctl().hosts_file(lab.hosts_file()).args(["-N", "exec", "echo through"]);
    account(&lab, gsctl, &home, &other).run().expect(4);
}

#[test]
fn a_home_that_is_no_directory_anywhere_is_one_without_files() {
    let lab = Lab::start(1);
    let run = account(&lab, lab.gsctl().args(["exec", "echo through"]), "/dev/null", "/dev/null").run().expect(0);
    assert_eq!(run.text(), "through\n", "{run}");
    for arguments in [&["-w", "n1", "hosts"][..], &["runs"], &["config"]] {
        let run = account(&lab, lab.bare_gsctl().args(arguments), "/dev/null", "/dev/null").run().expect(0);
        assert!(!run.stderr.contains("error"), "{arguments:?}\n{run}");
    }
}
