//! The programs of the machine that a lab needs.

use std::env;
use std::path::{Path, PathBuf};

/// Where a program lies, or a panic that says how to install it: a lab is never skipped.
pub(crate) fn path(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed: apt-get install -y {}", package(name)))
}

/// Whether a program is there.
pub(crate) fn exists(file: &str) -> bool {
    Path::new(file).is_file()
}

fn package(name: &str) -> &'static str {
    match name {
        "sshd" => "openssh-server",
        "ssh" | "ssh-keygen" => "openssh-client",
        _ => "util-linux",
    }
}
