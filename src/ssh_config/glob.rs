//! The files that a path with `*` and `?` stands for.

use std::fs;
use std::path::{Path, PathBuf};

use crate::credentials::known_hosts::pattern::matches_pattern;

/// The files that a path with `*` and `?` stands for, in order. A folder that cannot be read holds none, as for ssh.
pub(super) fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        if !name.contains(['*', '?']) {
            for path in &mut found {
                path.push(component);
            }
            continue;
        }
        found = found.iter().flat_map(|folder| matching(folder, &name)).collect();
    }
    found.retain(|path| path.is_file());
    found
}

fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name())
        .filter(|name| {
            let name = name.to_string_lossy();
            (pattern.starts_with('.') || !name.starts_with('.')) && matches_pattern(pattern.as_bytes(), name.as_bytes())
        })
        .collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}
