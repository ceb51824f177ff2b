//! Accounts of this machine, by the name service: `/etc/passwd`, LDAP, SSSD, whatever `nsswitch.conf` names.

use std::path::PathBuf;

use nix::unistd::{Uid, User};

/// The login name of a user id. As `ssh` does, the name service is asked: `/etc/passwd` has not every account.
#[must_use]
pub fn name_of(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// The home directory of a user id.
#[must_use]
pub fn home_of_id(uid: u32) -> Option<PathBuf> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.dir)
}

/// The home directory of an account.
#[must_use]
pub fn home_of(user: &str) -> Option<PathBuf> {
    User::from_name(user).ok().flatten().map(|user| user.dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_an_unused_number_has_none() {
        assert_eq!(name_of(0).as_deref(), Some("root"));
        assert_eq!(name_of(u32::MAX - 7), None);
    }
}
