//! A file that appears whole or not at all: written beside its place, then renamed. It is there once it was flushed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that will be written at the end.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    kept: Vec<u8>,
}

impl WholeFile {
    /// Tries whether the file can be written.
    ///
    /// # Errors
    /// When it cannot.
    pub fn prepare(path: &Path) -> io::Result<Self> {
        // A link stays one; what it leads to is replaced.
        let this = Self { path: path.canonicalize().unwrap_or_else(|_| path.to_owned()), kept: Vec::new() };
        if this.path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if this.is_special() {
            OpenOptions::new().write(true).open(&this.path)?;
            return Ok(this);
        }
        this.beside(b"").and_then(fs::remove_file)?;
        Ok(this)
    }

    /// Something that is there and is no file, such as `/dev/null`, must not be replaced.
    fn is_special(&self) -> bool {
        self.path.exists() && !self.path.is_file()
    }

    fn beside(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let path = self.path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        // One of that name is left from a killed process whose number came back.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written =
            OpenOptions::new().write(true).create_new(true).open(&path).and_then(|mut file| file.write_all(bytes));
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_special() {
            let bytes = std::mem::take(&mut self.kept);
            return OpenOptions::new().write(true).open(&self.path)?.write_all(&bytes);
        }
        let temporary = self.beside(&self.kept)?;
        fs::rename(&temporary, &self.path).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.html");
        let mut file = WholeFile::prepare(&path).unwrap();
        assert!(!path.exists());
        file.write_all(b"one").unwrap();
        assert!(!path.exists());
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(WholeFile::prepare(dir.path()).is_err());
        assert!(WholeFile::prepare(&dir.path().join("none/page.html")).is_err());
        WholeFile::prepare(Path::new("/dev/null")).unwrap().flush().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
