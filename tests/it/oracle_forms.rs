//! What the real crsctl, ps and /proc showed (11.2 to 21c, AIX, Oracle Restart, other languages), row by row, and what the
//! scripts of oracle-rac make of it, in every shell that a node may have.
//!
//! A node here is a directory: its /proc, its olr.loc, its crsctl that prints what a real one printed. Real processes are
//! in `oracle_scripts.rs`, real sshds in `oracle.rs`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use gsctl::testing::{Cause, Evidence, Facts, builtin_causes, diagnose, parse_facts, quote, without_comments};

use crate::opengauss_causes::{HEALTHY as HEALTHY_LINES, samples_in};

const NODE: &[&str] = &["lib.sh", "node.sh"];
const CHECK: &[&str] = &["lib.sh", "check.sh"];
const START: &[&str] = &["shared/logs.sh", "lib.sh", "order.sh", "start.sh"];
const STOP: &[&str] = &["shared/logs.sh", "lib.sh", "order.sh", "stop.sh"];
const BEFORE_START: &[&str] = &["shared/logs.sh", "lib.sh", "logs.sh", "node.sh"];
const EVIDENCE: &[&str] = &["shared/logs.sh", "lib.sh", "logs.sh", "evidence.sh"];

/// Shells that a node may have as /bin/sh.
const SHELLS: [&[&str]; 4] = [&["sh"], &["dash"], &["bash"], &["busybox", "sh"]];

/// Each of them once: /bin/sh is one of the others on most machines.
fn shells() -> Vec<&'static [&'static str]> {
    let program = |name: &str| fs::canonicalize(format!("/bin/{name}")).ok();
    let sh = program("sh");
    let known = sh.is_some() && ["dash", "bash"].iter().any(|name| program(name) == sh);
    SHELLS.into_iter().filter(|shell| !known || shell[0] != "sh").collect()
}

/// For what is no question of shells.
const QUICKEST: &[&[&str]] = &[&["sh"]];

const ONLINE: &str = "\
CRS-4638: Oracle High Availability Services is online
CRS-4537: Cluster Ready Services is online
CRS-4529: Cluster Synchronization Services is online
CRS-4533: Event Manager is online
";
/// After `crsctl stop cluster`, after an eviction, with the voting disks gone: the same text.
const STACK_OFF: &str = "\
CRS-4638: Oracle High Availability Services is online
CRS-4535: Cannot communicate with Cluster Ready Services
CRS-4530: Communications failure contacting Cluster Synchronization Services daemon
CRS-4534: Cannot communicate with Event Manager
";
const NO_OHAS: &str = "CRS-4639: Could not contact Oracle High Availability Services\n";
const ACTIVE: &str = "CRS-4640: Oracle High Availability Services is already active\n\
                      CRS-4000: Command Start failed, or completed with errors.\n";
const STARTED: &str = "CRS-4123: Oracle High Availability Services has been started.\n";

/// A line of `crsctl stat res -t`: resource, target, state, server, details.
type Line = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// A row: its name, the table, what does not run, and the facts.
type Missing<'a> = (&'a str, String, &'a [&'a str], &'a [(&'a str, &'a str)]);
/// A row: its name, what does not run, the table, what `start cluster` says, which orders are given, how it ends.
type Active<'a> = (&'a str, &'a str, Vec<Line>, &'a str, &'a [&'a str], &'a str);

/// The resources of a healthy 19c node.
const HEALTHY: [Line; 15] = [
    ("ora.asm", "ONLINE", "ONLINE", "rac1", "Started,STABLE"),
    ("ora.cluster_interconnect.haip", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.crf", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.crsd", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.cssd", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.cssdmonitor", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.ctssd", "ONLINE", "ONLINE", "rac1", "OBSERVER,STABLE"),
    ("ora.diskmon", "OFFLINE", "OFFLINE", "", "STABLE"),
    ("ora.driver.afd", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.drivers.acfs", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.evmd", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.gipcd", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.gpnpd", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.mdnsd", "ONLINE", "ONLINE", "rac1", "STABLE"),
    ("ora.storage", "ONLINE", "ONLINE", "rac1", "STABLE"),
];

/// Healthy but for these lines.
fn but(lines: &[Line]) -> Vec<Line> {
    let mut all = HEALTHY.to_vec();
    for line in lines {
        match all.iter_mut().find(|(name, ..)| *name == line.0) {
            Some(known) => *known = *line,
            None => all.push(*line),
        }
    }
    all
}

/// Without these resources.
fn without(lines: &[Line], names: &[&str]) -> Vec<Line> {
    lines.iter().filter(|(name, ..)| !names.contains(name)).copied().collect()
}

/// The table as 12.1 and later print it: details go on in their column, cut wherever it ends.
fn table(lines: &[Line]) -> String {
    let rule = "-".repeat(80);
    let mut text = format!(
        "{rule}\nName           Target  State        Server                   State details       \n{rule}\nCluster Resources\n{rule}\n"
    );
    for (name, target, state, server, details) in lines {
        let (first, rest) = details.split_at(details.len().min(20));
        writeln!(text, "{name}\n      1        {target:<7} {state:<12} {server:<24} {first:<20}").unwrap();
        for part in rest.as_bytes().chunks(20) {
            writeln!(text, "{:61}{:<20}", "", String::from_utf8_lossy(part)).unwrap();
        }
    }
    text + &rule + "\n"
}

/// The table as 11.2 prints it: another head, and nothing under way means no details. There is no ora.storage.
fn table_11(lines: &[Line]) -> String {
    let text = table(&without(lines, &["ora.storage", "ora.driver.afd"]));
    let text = text.replace(
        "Name           Target  State        Server                   State details",
        "NAME           TARGET  STATE        SERVER                   STATE_DETAILS",
    );
    text.replace(",STABLE", "       ").replace("STABLE", "      ")
}

/// What runs on a healthy 19c node, as `exe` of /proc names it, with its arguments.
const RUNNING: [(&str, &str); 24] = [
    ("ohasd.bin", "reboot BLOCKING_STACK_LOCALE_OHAS=AMERICAN_AMERICA.AL32UTF8"),
    ("oraagent.bin", ""),
    ("mdnsd.bin", ""),
    ("evmd.bin", ""),
    ("gpnpd.bin", ""),
    ("gipcd.bin", ""),
    ("evmlogger.bin", "-o log/evmd.log -l log/evmlog.log"),
    ("orarootagent.bin", ""),
    ("cssdmonitor", ""),
    ("cssdagent", ""),
    ("ocssd.bin", "-S 1"),
    ("onmd.bin", "-S 1"),
    ("gnsd.bin", ""),
    ("crscdpd.bin", ""),
    ("osysmond.bin", ""),
    ("ologgerd", "-M"),
    ("octssd.bin", "reboot"),
    ("crsd.bin", "reboot"),
    ("tnslsnr", "LISTENER -no_crs_notify -inherit"),
    ("tnslsnr", "LISTENER_SCAN1 -no_crs_notify -inherit"),
    ("tnslsnr", "ASMNET1LSNR_ASM -no_crs_notify -inherit"),
    ("tnslsnr", "MGMTLSNR -no_crs_notify -inherit"),
    ("oraagent.bin", ""),
    ("orarootagent.bin", ""),
];
/// What runs where Oracle Restart does.
const RESTART_RUNNING: [&str; 6] = ["ohasd.bin", "oraagent.bin", "evmd.bin", "evmlogger.bin", "cssdagent", "ocssd.bin"];

/// Scripts of the system, one after the other.
pub(crate) fn script(names: &[&str]) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/");
    let path = |name: &str| if name.contains('/') { name.to_owned() } else { format!("oracle-rac/{name}") };
    names.iter().map(|name| fs::read_to_string(format!("{dir}{}", path(name))).unwrap()).collect()
}

/// A node.
struct Node {
    dir: tempfile::TempDir,
    pids: u32,
}

impl Node {
    /// With a grid home, an olr.loc, and no process.
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("it's a node ").tempdir().unwrap();
        let node = Self { dir, pids: 100 };
        let home = node.name("u01/app/19.0.0/grid");
        node.file("etc/oracle/olr.loc", &format!("olrconfig_loc={home}/cdata/rac1.olr\ncrs_home={home}\n"));
        node.file("u01/app/19.0.0/grid/cdata/rac1.olr", "");
        node.file("u01/app/19.0.0/grid/bin/oracle", "");
        node.says(&[]);
        node.linux();
        node
    }

    fn name(&self, path: &str) -> String {
        self.dir.path().join(path).to_str().unwrap().to_owned()
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn program(&self, path: &str, content: &str) {
        self.file(path, content);
        fs::set_permissions(self.name(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A /proc with links to executables, in which everybody may look.
    fn linux(&self) {
        self.file("proc/1/cmdline", "init\0");
        self.file("proc/self/status", "Name:\tsh\nUid:\t0\t0\t0\t0\n");
        symlink("/bin/sh", self.name("proc/self/exe")).unwrap();
    }

    /// AIX, Solaris, HP-UX: no /proc that could be read, but `ps -ef`, which prints this.
    fn not_linux(&self, ps: &str) {
        fs::remove_dir_all(self.name("proc")).unwrap();
        self.file("ps.out", ps);
        self.program("path/ps", &format!("#!/bin/sh\n[ \"$*\" = -ef ] && exec cat {}\n", quote(&self.name("ps.out"))));
    }

    /// What crsctl says to each command, and its exit status.
    fn says(&self, answers: &[(&str, &str, i32)]) {
        self.says_at("u01/app/19.0.0/grid", answers);
    }

    fn says_at(&self, home: &str, answers: &[(&str, &str, i32)]) {
        let cases = answers.iter().fold(String::new(), |cases, (command, answer, status)| {
            format!("{cases}{})\ncat <<'END'\n{answer}END\nexit {status} ;;\n", quote(command))
        });
        let log = quote(&self.name("orders"));
        let text = format!(
            "#!/bin/sh\necho \"$*\" >>{log}\ncase $* in\n{cases}*) echo 'CRS-10001: what?'; exit 64 ;;\nesac\n"
        );
        self.program(&format!("{home}/bin/crsctl"), &text);
    }

    fn runs(&mut self, program: &str, arguments: &str) {
        self.runs_at("u01/app/19.0.0/grid", program, arguments);
    }

    /// A process in /proc.
    fn runs_at(&mut self, home: &str, program: &str, arguments: &str) {
        self.pids += 1;
        let (pid, path) = (self.pids, self.name(&format!("{home}/bin/{program}")));
        let words: Vec<&str> = std::iter::once(path.as_str()).chain(arguments.split_whitespace()).collect();
        self.process(pid, &path, &words.join("\0"));
    }

    fn process(&self, pid: u32, exe: &str, cmdline: &str) {
        self.file(&format!("proc/{pid}/cmdline"), &format!("{cmdline}\0"));
        self.file(&format!("proc/{pid}/status"), "Name:\tx\nState:\tS (sleeping)\n");
        symlink(exe, self.name(&format!("proc/{pid}/exe"))).unwrap();
    }

    /// Everything that a healthy node runs, but for these programs.
    fn runs_all_but(&mut self, missing: &[&str]) {
        for (program, arguments) in RUNNING.into_iter().filter(|(program, _)| !missing.contains(program)) {
            self.runs(program, arguments);
        }
        if !missing.contains(&"oracle") {
            self.pids += 1;
            self.process(self.pids, &self.name("u01/app/19.0.0/grid/bin/oracle"), "asm_pmon_+ASM1");
        }
    }

    /// Oracle Restart: its ocr.loc, and what runs of it.
    fn restart(&mut self, missing: &[&str]) {
        self.file("etc/oracle/ocr.loc", "ocrconfig_loc=/x/local.ocr\nlocal_only=TRUE\n");
        for program in RESTART_RUNNING.iter().filter(|program| !missing.contains(program)) {
            self.runs(program, if *program == "ohasd.bin" { "reboot" } else { "" });
        }
        if !missing.contains(&"oracle") {
            self.process(90, &self.name("u01/app/19.0.0/grid/bin/oracle"), "asm_pmon_+ASM");
        }
        if !missing.contains(&"tnslsnr") {
            self.runs("tnslsnr", "LISTENER -inherit");
        }
    }

    /// A script in every shell, all at once: what it printed, which must be the same.
    #[track_caller]
    fn run(&self, scripts: &[&str], vars: &[(&str, &str)]) -> String {
        self.run_in(&shells(), scripts, vars)
    }

    #[track_caller]
    fn run_in(&self, shells: &[&[&str]], scripts: &[&str], vars: &[(&str, &str)]) -> String {
        let root = self.dir.path().to_str().unwrap();
        let mut text = String::new();
        for (name, value) in
            [("grid_home", ""), ("olr_loc", ""), ("sudo", ""), ("crsctl_timeout", "10")].iter().chain(vars)
        {
            text = text + name + "=" + &quote(value) + "\n";
        }
        // As it is sent.
        text += &without_comments(&script(scripts));
        let path = format!("{root}/path:/usr/bin:/bin:/usr/sbin:/sbin");
        let children: Vec<_> = shells
            .iter()
            .map(|shell| {
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]).arg("-c").arg(&text).env_clear().env("PATH", &path);
                // What a login user may have exported.
                command.envs([
                    ("gsctl_node_root", root),
                    ("processes", "7"),
                    ("kind", "x"),
                    ("advice", "y"),
                    ("suffix", "z"),
                ]);
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap_or_else(|error| panic!("{}: {error}", shell[0]))
            })
            .collect();
        let mut said: Option<String> = None;
        for (shell, child) in shells.iter().zip(children) {
            let output = child.wait_with_output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
            let out = without_times(&String::from_utf8_lossy(&output.stdout));
            let before = said.get_or_insert_with(|| out.clone());
            assert_eq!(*before, out, "{shell:?} says something else than {:?}", shells[0]);
        }
        said.unwrap()
    }

    #[track_caller]
    fn look(&self, vars: &[(&str, &str)]) -> Facts {
        let mut all = vec![("given_up_after", "1")];
        all.extend(vars);
        parse_facts(self.run(NODE, &all).as_bytes())
    }

    /// The orders that crsctl was given, but for questions.
    fn orders(&self) -> Vec<String> {
        let text = fs::read_to_string(self.name("orders")).unwrap_or_default();
        let _ = fs::remove_file(self.name("orders"));
        let mut orders: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("start") || line.starts_with("stop"))
            .map(str::to_owned)
            .collect();
        // Each shell gave them, at the same time.
        orders.sort();
        orders.dedup();
        orders
    }
}

/// What the time was is another one in each shell.
fn without_times(said: &str) -> String {
    let line = |line: &str| match line.split_once("newest:") {
        Some((before, after)) if line.starts_with(">> ") => {
            format!("{before}newest:0{}\n", after.trim_start_matches(|digit: char| digit.is_ascii_digit()))
        }
        _ => match line.strip_prefix("found_log_marks=") {
            Some(marks) => {
                format!("found_log_marks=1{}\n", marks.trim_start_matches(|digit: char| digit.is_ascii_digit()))
            }
            None => format!("{line}\n"),
        },
    };
    said.lines().map(line).collect()
}

#[track_caller]
fn has(row: &str, facts: &Facts, want: &[(&str, &str)]) {
    for (key, value) in want {
        assert_eq!(facts.get(*key).map(String::as_str), Some(*value), "{row}: {key}\n{facts:#?}");
    }
}

/// That a fact contains a text.
#[track_caller]
fn tells(row: &str, facts: &Facts, key: &str, part: &str) {
    let value = facts.get(key).map_or("", String::as_str);
    assert!(value.contains(part), "{row}: no `{part}` in {key} `{value}`\n{facts:#?}");
}

#[test]
fn healthy_lists_of_every_version() {
    let details = |details| but(&[("ora.ctssd", "ONLINE", "ONLINE", "rac1", details)]);
    let rows = [
        ("19.7 with AFD and ACFS", table(&HEALTHY), "running", "trc"),
        ("19.27 without them", table(&without(&HEALTHY, &["ora.driver.afd", "ora.drivers.acfs"])), "running", "trc"),
        ("21.13: ACFS off", table(&but(&[("ora.drivers.acfs", "ONLINE", "OFFLINE", "", "STABLE")])), "running", "trc"),
        ("20c: ctssd active", table(&details("ACTIVE:0,STABLE")), "running", "trc"),
        ("12.1: an offset", table(&details("ACTIVE:135845900")), "running", "trc"),
        ("11.2.0.4", table_11(&HEALTHY), "unneeded", "log"),
        ("11.2.0.3: observer", table_11(&details("OBSERVER")), "unneeded", "log"),
        (
            "11.2.0.1: no haip, no crf",
            table_11(&without(&HEALTHY, &["ora.cluster_interconnect.haip", "ora.crf"])),
            "unneeded",
            "log",
        ),
        (
            "crf and haip switched off by an administrator",
            table(&but(&[
                ("ora.crf", "OFFLINE", "OFFLINE", "", "STABLE"),
                ("ora.cluster_interconnect.haip", "OFFLINE", "OFFLINE", "", "STABLE"),
            ])),
            "running",
            "trc",
        ),
        (
            "Flex ASM: no instance on this node",
            table(&but(&[("ora.asm", "ONLINE", "OFFLINE", "", "STABLE")])),
            "running",
            "trc",
        ),
        (
            "details that go on twice",
            table(&but(&[(
                "ora.drivers.acfs",
                "ONLINE",
                "ONLINE",
                "rac1",
                "mounted on /opt/oracle/dcs/commonstore,STABLE",
            )])),
            "running",
            "trc",
        ),
    ];
    for (row, table, storage, suffix) in rows {
        let mut node = Node::new();
        let flex = row.starts_with("Flex");
        node.runs_all_but(if flex { &["oracle"] } else { &[] });
        node.says(&[("check crs", ONLINE, 0), ("stat res -t -init", &table, 0)]);
        let facts = node.look(&[]);
        has(
            row,
            &facts,
            &[
                ("state", "running"),
                ("storage", storage),
                ("check_crs", "online"),
                ("stack", "up"),
                ("kind", "cluster"),
            ],
        );
        has(
            row,
            &facts,
            &[("listener_names", "LISTENER,LISTENER_SCAN1"), ("evmd", "running"), ("processes", "visible")],
        );
        has(row, &facts, &[("asm", if flex { "elsewhere" } else { "running" })]);
        if !flex {
            has(row, &facts, &[("not_online", ""), ("advice", "")]);
        }
        tells(row, &facts, "cssd_trace", &format!("ocssd.{suffix}"));
        // And while waiting.
        has(row, &node.look(&[("light", "1")]), &[("state", "running"), ("storage", storage)]);
    }
    let mut node = Node::new();
    node.runs_all_but(&[]);
    let wrapped = table(&but(&[(
        "ora.drivers.acfs",
        "ONLINE",
        "ONLINE",
        "rac1",
        "mounted on /opt/oracle/dcs/commonstore,STABLE",
    )]));
    assert!(wrapped.contains("mounted on /opt/orac") && wrapped.contains(" le/dcs/commonstore,S"), "{wrapped}");
    node.says(&[("check crs", ONLINE, 0), ("stat res -t -init", &wrapped, 0)]);
    has("whole", &node.look(&[]), &[("res_ora_drivers_acfs_details", "mounted on /opt/oracle/dcs/commonstore,STABLE")]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn resources_that_are_not_there() {
    const CSSD_DOWN: [Line; 6] = [
        ("ora.asm", "ONLINE", "OFFLINE", "", "STABLE"),
        ("ora.crsd", "ONLINE", "OFFLINE", "", "STABLE"),
        ("ora.ctssd", "ONLINE", "OFFLINE", "", "STABLE"),
        ("ora.evmd", "ONLINE", "INTERMEDIATE", "dbnode02", "STABLE"),
        ("ora.storage", "ONLINE", "OFFLINE", "", "STABLE"),
        ("ora.cluster_interconnect.haip", "ONLINE", "OFFLINE", "", "STABLE"),
    ];
    let with = |line: Line| but(&[&CSSD_DOWN[..], &[line]].concat());
    let early = ["octssd.bin", "oracle", "crsd.bin", "tnslsnr"];
    // What the table says, what does not run, and the facts.
    let rows: Vec<Missing<'_>> = vec![
        (
            "19c: cssd is being started, its server is named",
            table(&with(("ora.cssd", "ONLINE", "OFFLINE", "dbnode02", "STARTING"))),
            &early,
            &[
                ("state", "starting"),
                ("cssd", "starting"),
                ("evmd", "intermediate"),
                ("stack", "starting"),
                ("ctssd", "none"),
            ],
        ),
        (
            "19c: its server is named, and nothing else",
            table(&with(("ora.cssd", "ONLINE", "OFFLINE", "dbnode02", ""))),
            &early,
            &[("state", "starting"), ("stack", "starting")],
        ),
        (
            "11.2: being started, the server column is blank",
            table_11(&with(("ora.cssd", "ONLINE", "OFFLINE", "", "STARTING"))),
            &early,
            &[
                ("state", "starting"),
                ("cssd", "starting"),
                ("evmd", "intermediate"),
                ("res_ora_cssd_details", "STARTING"),
            ],
        ),
        (
            "STARTING cut in two",
            table(&with(("ora.asm", "ONLINE", "OFFLINE", "", "Instance Shutdown,STARTING"))),
            &early,
            &[("stack", "starting"), ("asm", "starting"), ("res_ora_asm_details", "Instance Shutdown,STARTING")],
        ),
        (
            "STOPPING cut in two",
            table(&but(&[("ora.crsd", "ONLINE", "ONLINE", "rac1", "Waiting for it,STOPPING")])),
            &[],
            &[("state", "stopping"), ("stack", "stopping")],
        ),
        (
            "crsctl stop cluster",
            table(&with(("ora.cssd", "OFFLINE", "OFFLINE", "", "STABLE"))),
            &early,
            &[("state", "stack-stopped"), ("start_again", "cluster")],
        ),
        (
            "19c: given up, nothing happens any more",
            table(&but(&[("ora.crsd", "ONLINE", "OFFLINE", "", "STABLE")])),
            &["crsd.bin", "tnslsnr"],
            &[
                ("state", "given-up"),
                ("missing_resource", "ora.crsd"),
                ("crsd", "none"),
                ("not_online", "ora.crsd (STABLE)"),
            ],
        ),
        (
            "11.2: given up",
            table_11(&but(&[("ora.crsd", "ONLINE", "OFFLINE", "", "")])),
            &["crsd.bin", "tnslsnr"],
            &[("state", "given-up"), ("missing_resource", "ora.crsd"), ("not_online", "ora.crsd")],
        ),
        (
            "ora.storage given up: ORA-12541 of the other node's ASM",
            table(&but(&[
                ("ora.storage", "ONLINE", "OFFLINE", "", "STABLE"),
                ("ora.crsd", "ONLINE", "OFFLINE", "", "STABLE"),
            ])),
            &["crsd.bin", "tnslsnr"],
            &[("state", "given-up"), ("missing_resource", "ora.storage"), ("storage", "none")],
        ),
        (
            "crsd in a crash loop: its process is there",
            table(&but(&[("ora.crsd", "ONLINE", "OFFLINE", "", "STABLE")])),
            &["tnslsnr"],
            &[("state", "starting"), ("crsd", "starting"), ("stack", "starting")],
        ),
    ];
    for (row, table, missing, want) in rows {
        let mut node = Node::new();
        node.runs_all_but(missing);
        node.says(&[("check crs", STACK_OFF, 0), ("stat res -t -init", &table, 0)]);
        let facts = node.look(&[]);
        has(row, &facts, want);
        has(row, &facts, &[("ohasd", "running"), ("has", "online"), ("check_crs", "not online: crs, css, evm")]);
        tells(row, &facts, "advice", "CRS-4535: Cannot communicate with Cluster Ready Services");
        if facts["state"] == "given-up" {
            tells(row, &facts, "advice", "`crsctl start cluster` as root");
        }
    }

    // INTERMEDIATE is not running, whatever `check crs` says; nor is the cluster down.
    for (row, said) in [("19c: stat res -t answered", ONLINE), ("AIX 11.2: it never came right", STACK_OFF)] {
        let mut node = Node::new();
        node.runs_all_but(&[]);
        let table = table(&but(&[("ora.crsd", "ONLINE", "INTERMEDIATE", "tpdb1", "STABLE")]));
        node.says(&[("check crs", said, 0), ("stat res -t -init", &table, 0)]);
        let facts = node.look(&[]);
        has(row, &facts, &[("crsd", "intermediate"), ("not_online", "ora.crsd (INTERMEDIATE, STABLE)")]);
        has(row, &facts, &[("state", if said == ONLINE { "partial" } else { "starting" })]);
    }
}

#[test]
fn what_check_crs_says() {
    let line = |code: &str| format!("CRS-{code}: in some language\n");
    let lines = |codes: &[&str]| codes.iter().map(|code| line(code)).collect::<String>();
    // The answer, its status, check_crs, and what a person is told.
    let rows: [(&str, String, i32, &str, &str); 20] = [
        ("all online", ONLINE.to_owned(), 0, "online", ""),
        ("the status says nothing", ONLINE.to_owned(), 1, "online", ""),
        ("no crsd", lines(&["4638", "4535", "4529", "4533"]), 0, "not online: crs", "CRS-4535"),
        ("no cssd", lines(&["4638", "4537", "4530", "4533"]), 0, "not online: css", "CRS-4530"),
        ("no evmd", lines(&["4638", "4537", "4529", "4534"]), 0, "not online: evm", "CRS-4534"),
        ("the stack is off", STACK_OFF.to_owned(), 0, "not online: crs, css, evm", "CRS-4535"),
        ("ohasd does not answer", NO_OHAS.to_owned(), 1, "not online: has, crs, css, evm", "CRS-4639"),
        (
            "Chinese, all online",
            "CRS-4638: Oracle 高可用性服务联机\nCRS-4537: 集群就绪服务联机\nCRS-4529: 集群同步服务联机\nCRS-4533: 事件管理器联机\n".to_owned(),
            0,
            "online",
            "",
        ),
        (
            "Chinese, no crsd",
            "CRS-4638: Oracle 高可用性服务联机\nCRS-4535: 无法与集群就绪服务通信\nCRS-4529: 集群同步服务联机\nCRS-4533: 事件管理器联机\n".to_owned(),
            0,
            "not online: crs",
            "CRS-4535: 无法与集群就绪服务通信",
        ),
        (
            "German, no ohasd",
            "CRS-4639: Oracle High Availability Services konnte nicht kontaktiert werden\nCRS-4000: Befehl Check nicht erfolgreich\n".to_owned(),
            1,
            "not online: has, crs, css, evm",
            "CRS-4639: Oracle High Availability Services konnte",
        ),
        (
            "exclusive mode",
            "CRS-4638: Oracle High Availability Services is online\nCRS-4692: Cluster Ready Services is online in exclusive mode\n\
             CRS-4529: Cluster Synchronization Services is online\nCRS-4533: Event Manager is online\n".to_owned(),
            0,
            "not online: crs",
            "CRS-4692: Cluster Ready Services is online in exclusive mode (it was started with -excl",
        ),
        ("no socket", "CRS-4544: Unable to connect to OHAS\n".to_owned(), 1, "not online: has, crs, css, evm", "CRS-4544: Unable to connect to OHAS (ohasd runs, but its sockets"),
        (
            "no library",
            "/u01/grid/bin/crsctl.bin: error while loading shared libraries: libhasgen19.so: cannot open shared object file: No such file or directory\n".to_owned(),
            127,
            "crsctl fails",
            "libhasgen19.so: cannot open shared object file: No such file or directory (crsctl is a script that sets LD_LIBRARY_PATH",
        ),
        ("not configured", "CRS-4047: No Oracle Clusterware components configured.\nCRS-4000: Command Check failed, or completed with errors.\n".to_owned(), 1, "not online: has, crs, css, evm", "CRS-4047"),
        ("a wrong configuration", "CRS-4046: Invalid Oracle Clusterware configuration.\nCRS-4000: Command Check failed, or completed with errors.\n".to_owned(), 1, "not online: has, crs, css, evm", "root.sh"),
        ("patched by half", "CRS-6706: Oracle Clusterware Release patch level ('3976270074') does not match Software patch level ('724960844'). Oracle Clusterware cannot be started.\nCRS-4000: x\n".to_owned(), 1, "not online: has, crs, css, evm", "clscfg -localpatch"),
        ("a number that begins alike", lines(&["4638", "4537", "4529", "45330"]), 0, "not online: evm", "CRS-45330"),
        ("ends in silence", String::new(), 1, "not online: has, crs, css, evm", "says: nothing"),
        ("a library complains first", format!("ld.so: warning: no version\n{ONLINE}"), 0, "online", ""),
        ("hangs", "hang".to_owned(), 0, "no answer", "crsctl did not answer within 1 s"),
    ];
    for (row, said, status, check_crs, advice) in rows {
        let mut node = Node::new();
        node.runs("ohasd.bin", "reboot");
        if said == "hang" {
            node.program("u01/app/19.0.0/grid/bin/crsctl", "#!/bin/sh\ntrap '' TERM\nsleep 20 &\nsleep 20\n");
        } else {
            node.says(&[("check crs", &said, status), ("check has", &said, status)]);
        }
        let facts = parse_facts(node.run(CHECK, &[("crsctl_timeout", "1")]).as_bytes());
        has(row, &facts, &[("check_crs", check_crs)]);
        assert_eq!(facts["advice"].is_empty(), advice.is_empty(), "{row}: {facts:#?}");
        tells(row, &facts, "advice", advice);
        if !matches!(row, "hangs" | "no library" | "no socket" | "ends in silence") && !said.contains("CRS-4") {
            assert_ne!(facts["has"], "online", "{row}");
        }
    }
    let node = Node::new();
    fs::remove_file(node.name("u01/app/19.0.0/grid/bin/crsctl")).unwrap();
    has("none", &parse_facts(node.run(CHECK, &[]).as_bytes()), &[("check_crs", "no crsctl")]);
}

/// The story of a start on a node without a majority of its voting files.
const STORY: &str = "\
CRS-2672: Attempting to start 'ora.cssdmonitor' on 'kvm-19rac02'
CRS-2676: Start of 'ora.cssdmonitor' on 'kvm-19rac02' succeeded
CRS-1705: Found 1 configured voting files but 2 voting files are required, terminating to ensure data integrity; details at (:CSSNM00021:) in /u01/ocssd.trc
CRS-2883: Resource 'ora.cssd' failed during Clusterware stack start.
CRS-4406: Oracle High Availability Services synchronous start failed.
CRS-41053: checking Oracle Grid Infrastructure for file permission issues
PRVH-0116 : Path \"/u01/cmdllroot.sh\" with permissions \"rw-r--r--\" does not have execute permissions
PRVG-2031 : Owner of file \"/u01/cmdllroot.sh\" did not match the expected value on node \"kvm-19rac02\".
CRS-4000: Command Start failed, or completed with errors.
";

#[test]
fn the_decisive_line_of_a_start() {
    let failed = "CRS-4000: Command Start failed, or completed with errors.\n";
    let patch = "CRS-6706: Oracle Clusterware Release patch level ('3976270074') does not match Software patch level ('724960844'). Oracle Clusterware cannot be started.\n";
    let rows: [(&str, String, i32, &str, &str); 11] = [
        ("started", STARTED.to_owned(), 0, "", ""),
        ("started, with a status of its own", STARTED.to_owned(), 5, "", ""),
        (
            "started, but not all of it",
            format!("CRS-2672: Attempting to start 'ora.crsd' on 'rac1'\nCRS-2674: Start of 'ora.crsd' on 'rac1' failed\nCRS-2807: Resource 'ora.crsd' failed to start automatically.\n{STARTED}"),
            0,
            "",
            "",
        ),
        ("no majority of voting files", STORY.to_owned(), 1, "CRS-1705: Found 1 configured voting files but 2 voting files are required", "voting files"),
        ("patched by half", format!("{patch}{failed}"), 1, "CRS-6706: Oracle Clusterware Release patch level", "rootcrs.sh -unlock"),
        (
            "ASM, with the database's own words",
            format!(
                "CRS-2672: Attempting to start 'ora.asm' on 'rac1'\nCRS-5017: The resource action \"ora.asm start\" encountered the following error:\n\
                 ORA-01078: failure in processing system parameters\nORA-29701: unable to connect to Cluster Synchronization Service\n\
                 CRS-2674: Start of 'ora.asm' on 'rac1' failed\nCRS-2679: Attempting to clean 'ora.asm' on 'rac1'\nCRS-2681: Clean of 'ora.asm' on 'rac1' succeeded\n{failed}"
            ),
            1,
            "CRS-5017: The resource action \"ora.asm start\" encountered the following error: ORA-01078: failure in processing system parameters",
            "",
        ),
        ("4124", format!("CRS-4124: Oracle High Availability Services startup failed.\n{failed}"), 1, "CRS-4124: Oracle High", "ohasd.trc"),
        ("nobody", format!("CRS-4563: Insufficient user privileges.\n{failed}"), 4, "CRS-4563", "does not take this root for one with privileges"),
        ("status 0 and failed", format!("CRS-2883: Resource 'ora.cssd' failed during Clusterware stack start.\n{failed}"), 0, "CRS-2883", ""),
        (
            "Chinese",
            "CRS-2672: 尝试启动 'ora.cssd' (在 'sihost1' 上)\nCRS-2674: 启动 'ora.cssd' (在 'sihost1' 上) 失败\nCRS-4000: 命令 Start 失败, 或已完成但出现错误。\n".to_owned(),
            1,
            "CRS-2674: 启动 'ora.cssd'",
            "",
        ),
        ("no word", String::new(), 1, "crsctl ended with exit status 1", ""),
    ];
    for (row, said, status, because, hint) in rows {
        let node = Node::new();
        node.says(&[("start crs", &said, status)]);
        let facts = parse_facts(node.run(START, &[]).as_bytes());
        if because.is_empty() {
            has(row, &facts, &[("changed", "yes")]);
            assert!(!facts.contains_key("because"), "{row}: {facts:#?}");
        } else {
            tells(row, &facts, "because", because);
            tells(row, &facts, "hint", hint);
            assert!(!facts.contains_key("changed"), "{row}: {facts:#?}");
            assert!(!facts["because"].contains("succeeded"), "{row}: {facts:#?}");
        }
        assert_eq!(node.orders(), ["start crs"], "{row}");
    }
}

#[test]
fn ohasd_that_is_active_already() {
    let off = |name: &'static str| (name, "ONLINE", "OFFLINE", "", "STABLE");
    let answer =
        "CRS-2672: Attempting to start 'ora.crsd' on 'db2'\nCRS-2676: Start of 'ora.crsd' on 'db2' succeeded\n";
    let already = "CRS-4690: Oracle Clusterware is already running on 'db2'\nCRS-4000: Command Start failed, or completed with errors.\n";
    let story = "CRS-2672: Attempting to start 'ora.crsd' on 'db2'\nCRS-2674: Start of 'ora.crsd' on 'db2' failed\nCRS-4000: x\n";
    // What runs no more, the table, what `start cluster` says, which orders are given, how it ends.
    let rows: [Active<'_>; 7] = [
        ("all is up", "", HEALTHY.to_vec(), "", &["start crs"], ""),
        (
            "given up",
            "crsd.bin",
            but(&[off("ora.crsd")]),
            answer,
            &["start cluster", "start crs", "start res ora.crsd -init"],
            "changed=yes",
        ),
        (
            "stopped below ohasd",
            "ocssd.bin",
            but(&[("ora.cssd", "OFFLINE", "OFFLINE", "", "STABLE")]),
            answer,
            &["start cluster", "start crs"],
            "changed=yes",
        ),
        (
            "given up, below the cluster",
            "mdnsd.bin",
            but(&[off("ora.mdnsd")]),
            already,
            &["start cluster", "start crs", "start res ora.mdnsd -init"],
            "changed=yes",
        ),
        (
            "under way",
            "crsd.bin",
            but(&[("ora.crsd", "ONLINE", "OFFLINE", "rac1", "STARTING")]),
            "",
            &["start crs"],
            "",
        ),
        ("a crash loop", "tnslsnr", but(&[off("ora.crsd")]), "", &["start crs"], ""),
        (
            "in vain",
            "crsd.bin",
            but(&[off("ora.crsd")]),
            story,
            &["start cluster", "start crs"],
            "because=CRS-2674: Start of 'ora.crsd' on 'db2' failed",
        ),
    ];
    for (row, gone, lines, said, orders, end) in rows {
        let mut node = Node::new();
        node.runs_all_but(&[gone]);
        node.says(&[
            ("start crs", ACTIVE, 1),
            ("stat res -t -init", &table(&lines), 0),
            ("start cluster", said, i32::from(said.contains("CRS-4000"))),
            ("start res ora.crsd -init", answer, 0),
            ("start res ora.mdnsd -init", answer, 0),
        ]);
        let out = node.run(START, &[]);
        assert_eq!(node.orders(), orders, "{row}\n{out}");
        assert_eq!(out.contains("changed=yes"), end == "changed=yes", "{row}\n{out}");
        assert!(out.contains(end), "{row}\n{out}");
    }
}

#[test]
fn what_stop_crs_says() {
    let done = "CRS-2793: Shutdown of Oracle High Availability Services-managed resources on 'rac1' has completed\n\
                CRS-4133: Oracle High Availability Services has been stopped.\n";
    let failed = "CRS-4687: Shutdown command has completed with errors.\nCRS-4000: Command Stop failed, or completed with errors.\n";
    let no_crsd = "CRS-2796: The command may not proceed when Cluster Ready Services is not running\n";
    let rows: [(&str, String, i32, &str, &str); 7] = [
        ("stopped", done.to_owned(), 0, "", ""),
        ("stopped, with a status of its own", done.to_owned(), 1, "", ""),
        (
            "crsd does not run",
            format!("{no_crsd}{failed}"),
            1,
            "CRS-2796: The command may not proceed",
            "--mode immediate",
        ),
        (
            "the same with status 0",
            format!("{no_crsd}{failed}"),
            0,
            "CRS-2796: The command may not proceed",
            "--mode immediate",
        ),
        ("no ohasd", format!("{NO_OHAS}CRS-4000: Command Stop failed, or completed with errors.\n"), 1, "CRS-4639", ""),
        (
            "a resource does not stop",
            format!(
                "CRS-2673: Attempting to stop 'ora.crsd' on 'rac1'\nCRS-2675: Stop of 'ora.crsd' on 'rac1' failed\nCRS-2799: Failed to shut down resource 'ora.crsd' on 'rac1'\nCRS-2795: x\n{failed}"
            ),
            1,
            "CRS-2675: Stop of 'ora.crsd' on 'rac1' failed",
            "--mode immediate",
        ),
        (
            "Chinese",
            "CRS-2796: 集群就绪服务未运行时, 此命令可能无法继续\nCRS-4000: 命令 Stop 失败, 或已完成但出现错误。\n"
                .to_owned(),
            1,
            "CRS-2796: 集群",
            "--mode immediate",
        ),
    ];
    for (row, said, status, because, hint) in rows {
        let mut node = Node::new();
        node.runs_all_but(&[]);
        node.says(&[("stop crs", &said, status), ("stop crs -f", done, 0)]);
        let facts = parse_facts(node.run(STOP, &[("mode", "fast")]).as_bytes());
        assert_eq!(facts.contains_key("changed"), because.is_empty(), "{row}: {facts:#?}");
        tells(row, &facts, "because", because);
        tells(row, &facts, "hint", hint);
        assert_eq!(node.orders(), ["stop crs"], "{row}");
        assert!(node.run(STOP, &[("mode", "immediate")]).contains("changed=yes"), "{row}");
        assert_eq!(node.orders(), ["stop crs -f"], "{row}");
    }
}

/// `ps -ef` of an AIX node, as far as it is Oracle's, and lines that only name it.
fn aix(home: &str, missing: &[&str]) -> String {
    let mut text = "     UID      PID     PPID   C    STIME    TTY  TIME CMD\n    root        1        0   0   Nov 28      -  0:12 /etc/init\n\
                    \x20   root  5505348        1   0 16:19:09      -  0:00 /bin/sh /etc/init.ohasd run\n".to_owned();
    for (program, arguments) in RUNNING.iter().filter(|(program, _)| !missing.contains(program)) {
        writeln!(text, "    root 30541310        1   1 16:19:17      -  3:33 {home}/bin/{program} {arguments}")
            .unwrap();
    }
    if !missing.contains(&"oracle") {
        writeln!(text, "    grid 20185198        1   0   Nov 28      -  0:21 asm_pmon_+ASM1").unwrap();
    }
    writeln!(text, "    root 30541311  5505348   0 16:20:01  pts/0  0:00 grep {home}/bin/ohasd.bin").unwrap();
    text
}

#[test]
fn a_running_cluster_is_never_called_down() {
    let healthy = [("check crs", ONLINE, 0), ("stat res -t -init", &*table_11(&HEALTHY), 0)];
    // AIX: no executables in /proc, no command lines.
    let node = Node::new();
    node.not_linux(&aix(&node.name("u01/app/19.0.0/grid"), &[]));
    // Its paths have no blanks; ps shows words.
    let node_root = tempfile::Builder::new().prefix("aix").tempdir().unwrap();
    let node = Node { dir: node_root, pids: 0 };
    let home = node.name("u01/grid");
    node.file("etc/oracle/olr.loc", &format!("crs_home={home}\n"));
    node.file("proc/x", "");
    node.not_linux(&aix(&home, &[]));
    node.says_at("u01/grid", &healthy);
    let facts = node.look(&[]);
    has(
        "AIX",
        &facts,
        &[("processes", "ps"), ("state", "running"), ("ohasd", "running"), ("asm", "running"), ("crsd", "running")],
    );
    has("AIX", &facts, &[("listener_names", "LISTENER,LISTENER_SCAN1"), ("storage", "unneeded"), ("root", "yes")]);
    has("AIX, waiting", &node.look(&[("light", "1")]), &[("state", "running")]);
    // What ps does not show is not there, and who only names it is not it.
    node.file("ps.out", &aix(&home, &["crsd.bin", "tnslsnr", "ohasd.bin"]));
    node.says_at("u01/grid", &[("check crs", NO_OHAS, 1)]);
    has("AIX", &node.look(&[]), &[("ohasd", "none"), ("crsd", "none"), ("state", "partial")]);
    // Neither /proc nor ps.
    node.program("path/ps", "#!/bin/sh\nexit 1\n");
    node.says_at("u01/grid", &healthy);
    let facts = node.look(&[]);
    has(
        "no ps",
        &facts,
        &[
            ("processes", "unreadable"),
            ("state", "running"),
            ("crsd", "running"),
            ("ohasd", "running"),
            ("listeners", "hidden"),
        ],
    );
    tells("no ps", &facts, "advice", "not Linux");

    // hidepid: others' processes can't be seen.
    let node = Node::new();
    fs::remove_dir_all(node.name("proc/1")).unwrap();
    node.says(&[("check crs", ONLINE, 0), ("stat res -t -init", &table(&HEALTHY), 0)]);
    let facts = node.look(&[]);
    has(
        "hidepid",
        &facts,
        &[
            ("processes", "hidden"),
            ("state", "running"),
            ("ohasd", "running"),
            ("cssd", "running"),
            ("asm", "running"),
            ("daemons", "unknown"),
        ],
    );
    tells("hidepid", &facts, "advice", "hidepid");
    let down = table(&but(&[("ora.crsd", "ONLINE", "OFFLINE", "rac1", "STARTING")]));
    node.says(&[("check crs", STACK_OFF, 0), ("stat res -t -init", &down, 0)]);
    has("hidepid", &node.look(&[]), &[("state", "starting"), ("crsd", "starting"), ("cssd", "running")]);
    // Nobody knows anything: that is not `down`.
    node.says(&[("check crs", NO_OHAS, 1), ("stat res -t -init", NO_OHAS, 1)]);
    has("hidepid", &node.look(&[]), &[("state", "unknown"), ("ohasd", "hidden"), ("crsd", "hidden")]);

    // What is seen of /proc shows nothing, and crsctl says that all is online.
    let node = Node::new();
    node.says(&[("check crs", ONLINE, 0), ("stat res -t -init", &table(&HEALTHY), 0)]);
    has("elsewhere", &node.look(&[]), &[("state", "running"), ("ohasd", "running"), ("crsd", "running")]);

    // olr.loc names another home than the one that runs.
    let mut node = Node::new();
    node.says(&[("check crs", ONLINE, 0), ("stat res -t -init", &table(&HEALTHY), 0)]);
    for (program, arguments) in RUNNING {
        node.runs_at("u01/app/21.0.0/grid", program, arguments);
    }
    let facts = node.look(&[]);
    has(
        "another home",
        &facts,
        &[("state", "running"), ("found_other_home", &node.name("u01/app/21.0.0/grid")), ("crsd", "running")],
    );
    tells("another home", &facts, "home", "/u01/app/21.0.0/grid runs");
    tells("another home", &facts, "advice", "but what runs is");
}

#[test]
fn which_processes_count() {
    for reboot in ["reboot", "restart", "reboot BLOCKING_STACK_LOCALE_OHAS=AMERICAN_AMERICA.AL32UTF8"] {
        let mut node = Node::new();
        node.runs("ohasd.bin", reboot);
        has(reboot, &node.look(&[]), &[("ohasd", "running"), ("daemons", "1")]);
    }
    // init.ohasd runs wherever Grid Infrastructure is installed.
    let node = Node::new();
    node.process(70, "/bin/sh", "/bin/sh\0/etc/init.d/init.ohasd\0run");
    node.says(&[("check crs", NO_OHAS, 1)]);
    has("init.ohasd", &node.look(&[]), &[("ohasd", "none"), ("daemons", "0"), ("state", "down")]);
    for (arguments, names) in [
        ("LISTENER -inherit", "LISTENER"),
        ("ASMNET1LSNR_ASM", ""),
        ("MGMTLSNR", ""),
        ("LISTENER_SCAN1 -x", "LISTENER_SCAN1"),
    ] {
        let mut node = Node::new();
        node.runs("tnslsnr", arguments);
        has(
            arguments,
            &node.look(&[]),
            &[("listener_names", names), ("listeners", if names.is_empty() { "none" } else { "running" })],
        );
    }
    // A daemon that runs and does not answer.
    let mut node = Node::new();
    node.runs("ohasd.bin", "reboot");
    node.says(&[("check crs", NO_OHAS, 1), ("stat res -t -init", NO_OHAS, 1)]);
    for light in ["0", "1"] {
        has("silent", &node.look(&[("light", light)]), &[("ohasd", "no answer"), ("state", "starting")]);
    }
}

/// Oracle Restart's own table.
fn restart_table(cssd: &str, asm: &str) -> String {
    let rule = "-".repeat(80);
    let server = if cssd.ends_with(" ONLINE") { "sihost1" } else { "" };
    format!(
        "{rule}\nName           Target  State        Server                   State details       \n{rule}\nLocal Resources\n{rule}\n\
         ora.DATA.dg\n               ONLINE  ONLINE       sihost1                  STABLE              \n\
         ora.LISTENER.lsnr\n               ONLINE  ONLINE       sihost1                  STABLE              \n\
         ora.asm\n               {asm:<20} sihost1                  STABLE\n\
         ora.ons\n               OFFLINE OFFLINE      sihost1                  STABLE              \n\
         {rule}\nCluster Resources\n{rule}\n\
         ora.cssd\n      1        {cssd:<20} {server:<24} STABLE\n\
         ora.diskmon\n      1        OFFLINE OFFLINE                               STABLE              \n\
         ora.evmd\n      1        ONLINE  ONLINE       sihost1                  STABLE              \n{rule}\n",
    )
}

#[test]
#[expect(clippy::too_many_lines, reason = "one kind of node, from up to down")]
fn oracle_restart() {
    let has_line = "CRS-4638: Oracle High Availability Services is online\n";
    let css = "CRS-4529: Cluster Synchronization Services is online\n";
    let evm = "CRS-4533: Event Manager is online\n";
    let no_css = "CRS-4530: Communications failure contacting Cluster Synchronization Services daemon\n";
    let not_here = "CRS-4047: No Oracle Clusterware components configured.\nCRS-4000: Command Check failed, or completed with errors.\n";
    let both = "ONLINE  ONLINE";
    let up = [
        ("check crs", not_here, 1),
        ("check has", has_line, 0),
        ("check css", css, 0),
        ("check evm", evm, 0),
        ("config has", "CRS-4622: Oracle High Availability Services autostart is enabled.\n", 0),
    ];
    let answers = |more: &[(&'static str, &'static str, i32)], table: &str| {
        let table: &'static str = Box::leak(table.to_owned().into_boxed_str());
        let mut all = more.to_vec();
        all.extend(up.iter().filter(|(command, ..)| !more.iter().any(|(other, ..)| other == command)));
        all.push(("stat res -t", table, 0));
        all
    };
    let mut node = Node::new();
    node.restart(&[]);
    node.says(&answers(&[], &restart_table(both, both)));
    let facts = node.look(&[]);
    has(
        "up",
        &facts,
        &[("kind", "restart"), ("state", "running"), ("check_crs", "online"), ("crs", "unneeded"), ("advice", "")],
    );
    has(
        "up",
        &facts,
        &[
            ("crsd", "unneeded"),
            ("gpnpd", "unneeded"),
            ("cssd", "running"),
            ("asm", "running"),
            ("listeners", "running"),
        ],
    );
    has("up", &facts, &[("crsctl_object", "has"), ("autostart", "enabled"), ("stack", "up")]);
    has(
        "up, waiting",
        &node.look(&[("light", "1"), ("found_kind", "restart")]),
        &[("state", "running"), ("kind", "restart")],
    );
    let check = parse_facts(node.run(CHECK, &[]).as_bytes());
    has("check", &check, &[("check_crs", "online"), ("evm", "online")]);

    // Without ASM, without a listener: then none is waited for.
    let mut plain = Node::new();
    plain.restart(&["oracle", "tnslsnr"]);
    plain.says(&answers(
        &[],
        &restart_table(both, both).replace("ora.LISTENER.lsnr", "ora.x").replace("ora.asm", "ora.y"),
    ));
    has("plain", &plain.look(&[]), &[("asm", "unneeded"), ("listeners", "unneeded"), ("state", "running")]);

    // css is down: `crsctl start resource -all` brings it up.
    let mut node = Node::new();
    node.restart(&["cssdagent", "ocssd.bin", "oracle"]);
    node.says(&answers(
        &[
            ("check css", no_css, 1),
            ("start has", ACTIVE, 1),
            ("start resource -all", "CRS-2676: Start of 'ora.cssd' on 'sihost1' succeeded\n", 0),
        ],
        &restart_table("ONLINE  OFFLINE", "ONLINE  OFFLINE"),
    ));
    let facts = node.look(&[]);
    has(
        "css down",
        &facts,
        &[
            ("state", "given-up"),
            ("missing_resource", "ora.cssd"),
            ("check_crs", "not online: css"),
            ("start_again", "resource -all"),
        ],
    );
    let out = node.run(START, &[]);
    assert!(out.contains("changed=yes"), "{out}");
    assert_eq!(node.orders(), ["start has", "start resource -all"]);

    // Down, and started and stopped in its own words.
    let mut node = Node::new();
    node.restart(&[
        "cssdagent",
        "ocssd.bin",
        "oracle",
        "tnslsnr",
        "ohasd.bin",
        "evmd.bin",
        "evmlogger.bin",
        "oraagent.bin",
    ]);
    node.says(&answers(
        &[
            ("check has", NO_OHAS, 1),
            ("start has", STARTED, 0),
            ("stop has", "CRS-4133: x\n", 0),
            ("stop has -f", "CRS-4133: x\n", 0),
        ],
        "",
    ));
    has("down", &node.look(&[]), &[("state", "down"), ("kind", "restart"), ("check_crs", "not online: has, css, evm")]);
    assert!(node.run(START, &[]).contains("changed=yes"));
    assert_eq!(node.orders(), ["start has"]);
    assert!(node.run(STOP, &[("mode", "fast")]).contains("changed=yes"));
    assert!(node.run(STOP, &[("mode", "immediate")]).contains("changed=yes"));
    assert_eq!(node.orders(), ["stop has", "stop has -f"]);

    // No ocr.loc that says so: crsctl does.
    let mut node = Node::new();
    node.restart(&[]);
    fs::remove_file(node.name("etc/oracle/ocr.loc")).unwrap();
    node.says(&answers(&[], &restart_table(both, both)));
    has("crsctl says so", &node.look(&[]), &[("kind", "restart"), ("state", "running")]);
    // An ocr.loc that says so beside a cluster that runs is wrong.
    let mut node = Node::new();
    node.runs_all_but(&[]);
    node.file("etc/oracle/ocr.loc", "local_only=TRUE\n");
    node.says(&[("check crs", ONLINE, 0), ("stat res -t -init", &table(&HEALTHY), 0)]);
    has("what runs is stronger", &node.look(&[]), &[("kind", "cluster"), ("state", "running")]);
    // The other word.
    let node = Node::new();
    node.file("etc/oracle/ocr.loc", "local_only=FALSE\n");
    has("cluster", &node.look(&[]), &[("kind", "cluster")]);
}

#[test]
fn where_grid_infrastructure_is() {
    let home = "u01/app/19.0.0/grid";
    let bare = || {
        let node = Node::new();
        fs::remove_file(node.name("etc/oracle/olr.loc")).unwrap();
        node.says(&[("check crs", NO_OHAS, 1)]);
        node
    };
    let node = bare();
    has("nowhere", &node.look(&[]), &[("state", "not-installed"), ("found_grid_home", ""), ("installed", "no")]);
    let node = Node::new();
    has("olr.loc", &node.look(&[]), &[("found_home_from", &node.name("etc/oracle/olr.loc"))]);
    // Solaris and HP-UX.
    let node = bare();
    node.file("var/opt/oracle/olr.loc", &format!("crs_home={}\n", node.name(home)));
    node.file("var/opt/oracle/scls_scr/x", "");
    has("var/opt", &node.look(&[]), &[("found_home_from", &node.name("var/opt/oracle/olr.loc")), ("installed", "yes")]);
    // oratab: not a database's line, not a home without crsctl.
    let node = bare();
    node.file("etc/oratab", &format!("# x\norcl:/u01/db:N\n+ASM1:/nonexistent:N\n+ASM1:{}:N\n", node.name(home)));
    has(
        "oratab",
        &node.look(&[]),
        &[("found_home_from", &node.name("etc/oratab")), ("found_grid_home", &node.name(home))],
    );
    let node = bare();
    node.file("var/opt/oracle/oratab", &format!("+ASM:{}:Y\n", node.name(home)));
    has("oratab", &node.look(&[]), &[("found_home_from", &node.name("var/opt/oracle/oratab"))]);
    // What runs.
    let mut node = bare();
    node.runs("ohasd.bin", "reboot");
    node.says(&[("check crs", STACK_OFF, 0)]);
    let facts = node.look(&[]);
    has(
        "ohasd",
        &facts,
        &[("found_home_from", "a running ohasd.bin"), ("found_grid_home", &node.name(home)), ("ohasd", "running")],
    );
    tells("ohasd", &facts, "home", "(a running ohasd.bin)");
    // In that order: olr.loc wins over oratab, and what we are told over all.
    let node = Node::new();
    node.file("etc/oratab", "+ASM1:/elsewhere:N\n");
    has("order", &node.look(&[]), &[("found_grid_home", &node.name(home))]);
    has(
        "told",
        &node.look(&[("grid_home", "/told")]),
        &[("found_grid_home", "/told"), ("found_home_from", "the variable grid_home")],
    );
}

#[test]
fn marks_of_a_node_whose_name_has_capitals() {
    for (host, user) in [("RAC1DR", "root"), ("19c-Grid.example.com", "root"), ("sihost1", "grid")] {
        let mut node = Node::new();
        node.program("path/hostname", &format!("#!/bin/sh\necho {host}\n"));
        if user == "grid" {
            node.restart(&[]);
            // Restart keeps its marks under its owner's name.
            node.program("path/ls", "#!/bin/sh\ncase $* in *exe*) exec /bin/ls \"$@\";; esac\necho '-rwsr-s--x 1 grid asmadmin 1 Jan 1 00:00 x'\n");
        }
        let name = host.split('.').next().unwrap().to_lowercase();
        node.file(&format!("etc/oracle/scls_scr/{name}/{user}/ohasdrun"), "stop\n");
        node.file(&format!("etc/oracle/scls_scr/{name}/{user}/ohasdstr"), "disable\n");
        has(host, &node.look(&[]), &[("ohasdrun", "stop"), ("autostart", "disabled")]);
    }
}

const STAGES: [&str; 13] = [
    "ohasd",
    "gpnpd",
    "gipcd",
    "mdnsd",
    "cssdmonitor",
    "cssd",
    "ctssd",
    "asm",
    "storage",
    "evmd",
    "crsd",
    "listeners",
    "cluster",
];

/// Where the log of a code is on a node of 12c or later.
fn log_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "CRSALERT" => "u01/app/grid/diag/crs/rac1/crs/trace/alert.log",
        "OHASDTRC" => "u01/app/grid/diag/crs/rac1/crs/trace/ohasd.trc",
        "OCSSDTRC" => "u01/app/grid/diag/crs/rac1/crs/trace/ocssd.trc",
        "AGENTTRC" => "u01/app/grid/diag/crs/rac1/crs/trace/ohasd_oraagent_grid.trc",
        "ASMALERT" => "u01/app/grid/diag/asm/+asm/+ASM1/trace/alert_+ASM1.log",
        _ => return None,
    })
}

/// A node on which this stage is the first one that is missing, with trouble of yesterday in each log.
fn stuck_at(stage: &str) -> Node {
    let mut node = Node::new();
    let home = "u01/app/19.0.0/grid";
    node.file(&format!("{home}/crs/install/crsconfig_params"), &format!("ORACLE_BASE={}\n", node.name("u01/app/grid")));
    for code in ["CRSALERT", "OHASDTRC", "OCSSDTRC", "AGENTTRC", "ASMALERT"] {
        node.file(
            log_of(code).unwrap(),
            "2026-05-10 09:00:00.000 [OHASD(1)]CRS-4402: x\nORA-00119: y\nCould not init OLR\n",
        );
    }
    if stage == "ohasd" {
        node.process(50, "/bin/sh", "/bin/sh\0/etc/init.d/init.ohasd\0run");
        node.says(&[("stat res -t -init", NO_OHAS, 1), ("check crs", NO_OHAS, 1), ("config crs", "CRS-4622: x\n", 0)]);
        return node;
    }
    let name = format!("ora.{stage}");
    let down: &'static str = Box::leak(name.into_boxed_str());
    let program = match stage {
        "cssd" => "ocssd.bin".to_owned(),
        "ctssd" => "octssd.bin".to_owned(),
        "asm" => "oracle".to_owned(),
        "cssdmonitor" => stage.to_owned(),
        "listeners" => "tnslsnr".to_owned(),
        _ => format!("{stage}.bin"),
    };
    // crsd does not run without the storage of the OCR: with it, an ora.storage that is OFFLINE is at work elsewhere.
    let crsd = if stage == "storage" { "crsd.bin" } else { "" };
    node.runs_all_but(&[&program, crsd]);
    let missing = (down, "ONLINE", "OFFLINE", "", "STABLE");
    let lines = match stage {
        "listeners" => but(&[]),
        "storage" => but(&[missing, ("ora.crsd", "ONLINE", "OFFLINE", "", "STABLE")]),
        _ => but(&[missing]),
    };
    node.says(&[("stat res -t -init", &table(&lines), 0), ("check crs", STACK_OFF, 1)]);
    node
}

impl Node {
    /// What a start notes of the logs: before it nothing runs.
    fn marks_before_start(&self) -> String {
        let crsctl = self.name("u01/app/19.0.0/grid/bin/crsctl");
        let (proc, aside) = (self.name("proc"), self.name("proc aside"));
        let says = fs::read_to_string(&crsctl).unwrap();
        fs::rename(&proc, &aside).unwrap();
        self.linux();
        self.says(&[("stat res -t -init", NO_OHAS, 1), ("check crs", NO_OHAS, 1), ("config crs", "CRS-4622: x\n", 0)]);
        let facts = parse_facts(self.run_in(QUICKEST, BEFORE_START, &[]).as_bytes());
        has("before a start", &facts, &[("state", "down")]);
        fs::remove_dir_all(&proc).unwrap();
        fs::rename(&aside, &proc).unwrap();
        fs::write(&crsctl, says).unwrap();
        facts["found_log_marks"].clone()
    }
}

/// A stack that is at work is not started, so that there is no beginning to note; what it wrote before tells as well.
#[test]
fn logs_are_marked_where_a_start_follows() {
    for (stage, state) in [("ohasd", "down"), ("crsd", "given-up"), ("storage", "given-up"), ("listeners", "starting")]
    {
        let node = stuck_at(stage);
        let facts = parse_facts(node.run(BEFORE_START, &[("given_up_after", "0")]).as_bytes());
        has(stage, &facts, &[("state", state)]);
        let marks = facts.get("found_log_marks").map_or("", String::as_str);
        for code in ["CRSALERT", "OHASDTRC", "OCSSDTRC", "AGENTTRC", "ASMALERT"] {
            let marked = marks.contains(&node.name(log_of(code).unwrap()));
            assert_eq!(marked, state != "starting", "{stage}: {code} in {marks}");
        }
    }
}

fn found(node: &Node, stage: &str, vars: &[(&str, &str)]) -> Option<Cause> {
    let said = node.run(EVIDENCE, vars);
    diagnose(&builtin_causes("oracle-rac").unwrap(), Some(stage), &STAGES, &Evidence::read(said.as_bytes()))
}

fn append(node: &Node, file: &str, text: &str) {
    let before = fs::read_to_string(node.name(file)).unwrap_or_default();
    node.file(file, &(before + text));
}

#[test]
fn every_row_of_a_log_is_named() {
    let catalogue = builtin_causes("oracle-rac").unwrap();
    let samples = samples_in(include_str!("../causes/oracle-rac.yaml"));
    let mut seen = 0;
    for row in catalogue.rows().iter().filter(|row| row.signature.is_some()) {
        let stage = std::iter::once(&row.stage).chain(&row.holds_back).find(|stage| STAGES.contains(&stage.as_str()));
        let stage = stage.map_or("crsd", String::as_str);
        for code in &row.logs {
            let Some(file) = log_of(code) else { continue };
            // What is missing decides which logs are looked into.
            if row.id == "OR31" && code != "CRSALERT" {
                continue;
            }
            let node = stuck_at(stage);
            let marks = node.marks_before_start();
            let vars = [("log_marks", marks.as_str())];
            let before = found(&node, stage, &vars);
            let frame = before.as_ref().and_then(|cause| cause.id.as_deref());
            assert!(frame.is_none() || frame == Some("OR07"), "{}: yesterday's trouble {before:#?}", row.id);
            append(&node, file, HEALTHY_LINES);
            let healthy = found(&node, stage, &vars);
            assert_eq!(healthy, before, "{}: what is healthy", row.id);
            append(&node, file, &samples[&row.id]);
            let cause = found(&node, stage, &vars).unwrap_or_else(|| panic!("{} in {code}: nothing", row.id));
            assert_eq!(cause.id.as_deref(), Some(row.id.as_str()), "{code} {cause:#?}");
            assert_eq!((cause.hint.as_ref(), cause.wait), (Some(&row.hint), Some(row.wait)));
            let proof = cause.proof.unwrap();
            assert_eq!(proof.file, node.name(file));
            assert!(samples[&row.id].contains(proof.lines[0].trim()), "{proof:#?}");
            seen += 1;
        }
    }
    assert!(seen >= 24, "{seen}");
}

/// What crsctl and the node itself say, where no log does.
#[test]
fn what_no_log_tells() {
    let samples = samples_in(include_str!("../causes/oracle-rac.yaml"));
    let id = |node: &Node, stage: &str, vars: &[(&str, &str)]| found(node, stage, vars).and_then(|cause| cause.id);
    let marks = ("log_marks", "1|0:0:/x");
    let node = stuck_at("ohasd");
    for code in ["CRSALERT", "OHASDTRC"] {
        node.file(log_of(code).unwrap(), "");
    }
    assert_eq!(id(&node, "ohasd", &[marks]).as_deref(), Some("OR07"));
    // It matters after a boot, not for a start that was asked for.
    node.says(&[("stat res -t -init", NO_OHAS, 1), ("check crs", NO_OHAS, 1), ("config crs", &samples["OR04"], 0)]);
    assert_eq!(id(&node, "ohasd", &[]).as_deref(), Some("OR04"));
    assert_eq!(id(&node, "ohasd", &[marks]).as_deref(), Some("OR07"));
    fs::remove_dir_all(node.name("proc/50")).unwrap();
    assert_eq!(id(&node, "ohasd", &[marks]).as_deref(), Some("OR05"));
    let full = format!("#!/bin/sh\nprintf 'x\\n/dev/sda1 10 10 0 100%% %s\\n' {}\n", quote(&node.name("u01")));
    node.program("path/df", &full);
    node.process(50, "/bin/sh", "/bin/sh\0/etc/init.d/init.ohasd\0run");
    assert_eq!(id(&node, "ohasd", &[marks]).as_deref(), Some("OR31"));
    let node = stuck_at("mdnsd");
    node.file("proc/net/udp", "  sl  local_address\n 1: 00000000:14E9 00000000:0000 07\n");
    assert_eq!(id(&node, "mdnsd", &[marks]).as_deref(), Some("OR20"));
    // cssd runs, and nobody can speak with it: what ASM and crsd say in the logs follows from that.
    let unreached = [("stat res -t -init", samples["OR30"].as_str(), 1), ("check crs", STACK_OFF, 1)];
    let node = stuck_at("crsd");
    node.says(&unreached);
    assert_eq!(id(&node, "crsd", &[marks]).as_deref(), Some("OR30"));
    // cssd does not run, and its log tells why.
    let node = stuck_at("cssd");
    node.says(&unreached);
    append(&node, log_of("OCSSDTRC").unwrap(), &samples["OR16"]);
    node.file(log_of("CRSALERT").unwrap(), "");
    assert_eq!(id(&node, "cssd", &[marks]).as_deref(), Some("OR16"));
}

/// What an order of crsctl ended with names its cause: the first line that does, not the frames behind it.
#[test]
fn a_failed_order_names_its_cause() {
    let samples = samples_in(include_str!("../causes/oracle-rac.yaml"));
    let story = "CRS-2672: Attempting to start 'ora.cssdmonitor' on 'kvm-19rac02'\n\
        CRS-1705: Found 1 configured voting files but 2 voting files are required, terminating to ensure data integrity\n\
        CRS-2883: Resource 'ora.cssd' failed during Clusterware stack start.\nCRS-4406: x\nCRS-4000: Command Start failed\n";
    let cases = [
        (START, "start crs", samples["OR33"].as_str(), "OR33"),
        (START, "start crs", samples["OR17"].as_str(), "OR17"),
        (START, "start crs", story, "OR10"),
        (STOP, "stop crs", samples["OR35"].as_str(), "OR35"),
        (STOP, "stop crs", samples["OR36"].as_str(), "OR36"),
    ];
    for (script, order, said, want) in cases {
        let node = Node::new();
        node.says(&[(order, said, 1), ("stat res -t -init", NO_OHAS, 1)]);
        let printed = node.run(script, &[]);
        let cause =
            diagnose(&builtin_causes("oracle-rac").unwrap(), None, &STAGES, &Evidence::read(printed.as_bytes()));
        let cause = cause.unwrap_or_else(|| panic!("{want}: nothing in {printed}"));
        assert_eq!(cause.id.as_deref(), Some(want), "{cause:#?}");
        assert_eq!(cause.proof.unwrap().file, format!("crsctl {order}"));
    }
}

#[test]
fn evidence_without_healthy_noise() {
    let log = "\
2025-11-11 12:22:58.470 [OHASD(126708)]CRS-8500: Oracle Clusterware OHASD process is starting with operating system process ID 126708
2025-11-11 12:32:58.470 [OCSSD(130761)]CRS-7500: The Oracle Grid Infrastructure process 'ocssd' failed to establish (GIPC) high availability connection with remote node 'dbnode01'.
2025-11-11 12:32:59.001 [CSSDAGENT(130651)]CRS-5818: Aborted command 'start' for resource 'ora.cssd'. Details at (:CRSAGF00113:)
2025-11-11 12:33:00.001 [OCSSD(130761)]CRS-1656: The CSS daemon is terminating due to a fatal error
Errors in file /u01/app/grid/diag/crs/dbnode02/crs/trace/ocssd.trc  (incident=1):
CRS-8503 [] [] [] [] [] [] [] [] [] [] [] []
Incident details in: /u01/app/grid/diag/crs/dbnode02/crs/incident/incdir_1/ocssd_i1.trc

2025-11-11 12:33:02.001 [client(18284818)]CRS-10001:28-May-18 02:40 ACFS-9391: Checking for existing ADVM/ACFS installation.
2025-11-11 12:33:03.001 [client(18284818)]CRS-10001:28-May-18 02:40 ACFS-9392: Validating ADVM/ACFS installation files for operating system.
";
    let mut node = stuck_at("cssd");
    node.pids += 1;
    for code in ["OCSSDTRC", "OHASDTRC", "AGENTTRC"] {
        node.file(log_of(code).unwrap(), "");
    }
    node.file(log_of("CRSALERT").unwrap(), log);
    let said = node.run(EVIDENCE, &[]);
    assert!(said.starts_with("wanted and not ONLINE: ora.cssd (STABLE)\n"), "{said}");
    for noise in ["CRS-8500", "CRS-8503", "CRS-10001", "Errors in file", "Incident"] {
        assert!(!said.contains(noise), "{noise}\n{said}");
    }
    // What ended it last, and the age of what proves it.
    let cause = found(&node, "cssd", &[]).unwrap();
    assert_eq!(cause.id.as_deref(), Some("OR15"), "{cause:#?}");
    assert_eq!(cause.proof.unwrap().age_s, Some(0));

    // 11.2: in the grid home, times on lines of their own. What is older than the newest start is past.
    let node = Node::new();
    node.says(&[
        ("stat res -t -init", &format!("{NO_OHAS}CRS-4000: x\n"), 1),
        ("check crs", NO_OHAS, 1),
        ("config crs", "x\n", 0),
    ]);
    node.process(50, "/bin/sh", "/bin/sh\0/etc/init.d/init.ohasd\0run");
    node.file(
        "u01/app/19.0.0/grid/log/rac1/alertrac1.log",
        "2012-09-11 10:08:45.213\n[cssd(802)]CRS-1609:This node is unable to communicate with other nodes in the cluster\n\
         2012-09-11 10:18:45.213\n[ohasd(700)]CRS-2112:The OLR service started on node rac1.\n2012-09-11 10:18:46.213: \n\
         [cssd(3980)]CRS-1714:Unable to discover any voting files, retrying discovery in 15 seconds\n",
    );
    let said = node.run(EVIDENCE, &[]);
    assert!(
        said.starts_with("crsctl stat res: CRS-4639: Could not contact Oracle High Availability Services\n"),
        "{said}"
    );
    assert!(said.contains("CRS-1714") && !said.contains("CRS-1609"), "{said}");
    assert_eq!(found(&node, "cssd", &[]).unwrap().id.as_deref(), Some("OR10"));
    tells("11.2", &node.look(&[]), "ohasd_trace", "/log/*/ohasd/ohasd.log");
    // A library's name says of which release a home is.
    node.file("u01/app/19.0.0/grid/lib/libhasgen19.so", "");
    tells("19c", &node.look(&[]), "ohasd_trace", "ohasd.trc");
}
