//! Arguments of `push` and `pull`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::privilege::FilePrivilege;
use super::values::{mode, owner};

/// Arguments of `push`.
#[derive(Debug, Args)]
pub struct Push {
    /// Files and directories on this machine; directories with all that is in them. Links to files are followed.
    #[arg(required = true, value_name = "SRC", value_hint = ValueHint::AnyPath)]
    pub source: Vec<PathBuf>,
    /// Where to on the nodes. An existing directory, or a path that ends with `/`, means into it; so do several SRC and a
    /// directory. `{host}`, `{address}` and `{user}` are the node's. A relative path starts at the home directory.
    #[arg(required = true, value_name = "DEST")]
    pub dest: String,
    /// Only say what would change; nothing is. With `--diff` the differences of the files, too.
    #[arg(long)]
    pub check: bool,
    /// Owner that files and new directories get, and group; names or numbers of the nodes.
    #[arg(long, value_name = "USER[:GROUP]", value_parser = owner)]
    pub owner: Option<String>,
    /// Mode that files get, in octal [default: that of each file here]. Directories keep theirs.
    #[arg(long, value_name = "OCTAL", value_parser = mode)]
    pub mode: Option<u32>,
    /// As whom.
    #[command(flatten)]
    pub privilege: FilePrivilege,
}

/// Arguments of `pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Files and directories on the nodes; directories with all that is in them. Links to files are followed. `{host}`,
    /// `{address}` and `{user}` are the node's. A relative path starts at the home directory. `*`, `?` and `[...]` match what
    /// each node has, quoted against your own shell.
    #[arg(required = true, value_name = "REMOTE", value_hint = ValueHint::Other)]
    pub source: Vec<String>,
    /// The directory on this machine; what is missing of it is made. Each host's files go to `LOCAL_DIR/HOST`, or into the
    /// directory that has `{host}` or `{address}` in its name.
    #[arg(required = true, value_name = "LOCAL_DIR", value_hint = ValueHint::DirPath)]
    pub dest: String,
    /// As whom.
    #[command(flatten)]
    pub privilege: FilePrivilege,
}
