//! The daemons below ohasd, in the order in which they come (oracle-measured.md 1 and 4).

/// One daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    /// Its file in `bin`.
    pub(crate) program: &'static str,
    /// Its arguments.
    pub(crate) arguments: &'static [&'static str],
    /// Its resource; empty for agents, which are none, and for what crsd starts.
    pub(crate) resource: &'static str,
    /// What comes after waits for it.
    pub(crate) needed: bool,
    /// `crsctl stop cluster` stops it.
    pub(crate) stack: bool,
    /// Oracle Restart has it too.
    pub(crate) restart: bool,
}

const fn below(program: &'static str, resource: &'static str, needed: bool) -> Stage {
    Stage { program, arguments: &[], resource, needed, stack: false, restart: false }
}

const fn stack(program: &'static str, arguments: &'static [&'static str], resource: &'static str) -> Stage {
    Stage { program, arguments, resource, needed: true, stack: true, restart: false }
}

const fn everywhere(stage: Stage) -> Stage {
    Stage { restart: true, ..stage }
}

/// All of them.
pub(crate) const STAGES: [Stage; 15] = [
    everywhere(below("oraagent.bin", "", true)),
    below("orarootagent.bin", "", true),
    everywhere(below("cssdagent", "", true)),
    // Nobody needs it in order to start.
    below("mdnsd.bin", "ora.mdnsd", false),
    // Nor it. It comes early, and is INTERMEDIATE until cssd is up.
    everywhere(Stage { needed: false, ..stack("evmd.bin", &[], "ora.evmd") }),
    below("gpnpd.bin", "ora.gpnpd", true),
    below("gipcd.bin", "ora.gipcd", true),
    below("osysmond.bin", "ora.crf", false),
    stack("cssdmonitor", &[], "ora.cssdmonitor"),
    everywhere(stack("ocssd.bin", &[], "ora.cssd")),
    stack("octssd.bin", &["reboot"], "ora.ctssd"),
    everywhere(stack("oracle", &[], "ora.asm")),
    stack("crsd.bin", &["reboot"], "ora.crsd"),
    everywhere(stack("tnslsnr", &["LISTENER", "-inherit"], "")),
    stack("scriptagent.bin", &[], ""),
];

/// The daemon with this file.
pub(crate) fn by_program(program: &str) -> Option<&'static Stage> {
    STAGES.iter().find(|stage| stage.program == program)
}

/// The daemon with this resource.
pub(crate) fn by_resource(resource: &str) -> Option<&'static Stage> {
    STAGES.iter().find(|stage| stage.resource == resource)
}
