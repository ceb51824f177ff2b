//! An action: what a step does on a host.

use super::{Check, ExecOptions, Pull, Push, Remark, Rule, Template, Wait};

/// What a step does on a host.
#[derive(Debug, Clone)]
pub enum Action {
    /// Connect and log in only.
    Ping,
    /// Copy files to the node.
    Push(std::sync::Arc<Push>),
    /// Copy files from the node.
    Pull(std::sync::Arc<Pull>),
    /// Run a command in the user's login shell.
    Run {
        /// The command. Variables in it are quoted for the shell.
        command: Template,
        /// How.
        exec_options: ExecOptions,
    },
    /// Run a script of the playbook's own in /bin/sh, which finds every variable set, as a probe does. Its `key=value`
    /// lines are facts; of those `changed`, `because` and `hint` are its own word on what it did and why it failed.
    Script {
        /// Where the script came from, for messages.
        source: String,
        /// The script's text.
        script: String,
        /// More shell variables.
        with: Vec<(String, Template)>,
        /// How it is run.
        exec_options: ExecOptions,
    },
    /// Look, and perhaps refuse to go on.
    Probe {
        /// Name of the probe.
        probe: String,
        /// States in which it is wrong to go on; the first that holds is the reason.
        refuse: Vec<Rule>,
        /// What is worth a word before the run goes on.
        warn: Vec<Remark>,
    },
    /// Hold only where every check does.
    Check {
        /// The checks.
        checks: Vec<Check>,
    },
    /// Remove files. Globs in the last component only.
    Remove {
        /// The paths.
        paths: Vec<Template>,
        /// As this user, through the node's sudo.
        sudo: Option<Template>,
    },
    /// Create empty files where they are not there.
    Touch {
        /// The paths.
        paths: Vec<Template>,
        /// Only where this file is there.
        if_exists: Option<Template>,
        /// As this user, through the node's sudo.
        sudo: Option<Template>,
    },
    /// Write a small file, atomically.
    Write {
        /// Where.
        path: Template,
        /// What; variables are put in as they are.
        content: Template,
        /// Permission bits.
        mode: u32,
    },
    /// Look again and again until something holds.
    Wait(Box<Wait>),
    /// Name the state of the whole run, in the journal.
    State {
        /// The state's name.
        name: String,
    },
}

impl Action {
    /// The user that sudo makes of the login user for it.
    #[must_use]
    pub fn sudo(&self) -> Option<&Template> {
        match self {
            Self::Run { exec_options, .. } | Self::Script { exec_options, .. } => exec_options.sudo.as_ref(),
            Self::Remove { sudo, .. } | Self::Touch { sudo, .. } => sudo.as_ref(),
            Self::Push(push) => push.sudo.as_ref(),
            Self::Pull(pull) => pull.sudo.as_ref(),
            _ => None,
        }
    }

    /// Whether it may change something on a node. A command may, whatever it is.
    #[must_use]
    pub fn is_change(&self) -> bool {
        match self {
            Self::Run { .. } | Self::Script { .. } | Self::Remove { .. } | Self::Touch { .. } | Self::Write { .. } => {
                true
            }
            Self::Push(push) => push.check.is_none(),
            Self::Ping
            | Self::Pull(_)
            | Self::Probe { .. }
            | Self::Check { .. }
            | Self::Wait(_)
            | Self::State { .. } => false,
        }
    }
}
