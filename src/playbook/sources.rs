//! Where the texts of playbooks and scripts come from that are not compiled in.

use std::io;

use crate::plan::push::PushFile;

/// Where the texts of playbooks and scripts come from that are not compiled in.
pub trait Sources {
    /// The text of a playbook.
    ///
    /// # Errors
    ///
    /// As reading the file does.
    fn playbook(&self, name: &str) -> io::Result<String>;

    /// The text of a script. The path is relative to where the playbook's own name is: the directories are joined.
    ///
    /// # Errors
    ///
    /// As reading the file does.
    fn script(&self, relative: &str) -> io::Result<String>;

    /// What a command is to read, as it is. The path is as that of a script.
    ///
    /// # Errors
    ///
    /// As reading the file does.
    fn input(&self, relative: &str) -> io::Result<Vec<u8>>;

    /// A file that is copied to the hosts, or a directory and all that is in it. The path is relative as that of a script.
    ///
    /// # Errors
    ///
    /// In words, and after a line break what to do about it.
    fn copies(&self, relative: &str) -> Result<Vec<PushFile>, String> {
        Err(format!("`{relative}` can't be read"))
    }
}

/// No files: only what is compiled in.
#[cfg(test)]
pub(crate) struct NoFiles;

#[cfg(test)]
impl Sources for NoFiles {
    fn playbook(&self, _: &str) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn script(&self, _: &str) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn input(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
}
