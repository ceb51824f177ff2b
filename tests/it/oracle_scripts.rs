//! The scripts of oracle-rac on a fake node: real files, real processes with the right executables, every shell a node may
//! have.
//!
//! No SSH here. `crsctl` is a shell script that prints what the real one printed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use gsctl::testing::{Facts, parse_facts, quote};

use crate::alone::alone;

use crate::oracle_forms::script;

const NODE: &[&str] = &["lib.sh", "node.sh"];
const CHECK: &[&str] = &["lib.sh", "check.sh"];
const START: &[&str] = &["shared/logs.sh", "lib.sh", "order.sh", "start.sh"];
const STOP: &[&str] = &["shared/logs.sh", "lib.sh", "order.sh", "stop.sh"];
const EVIDENCE: &[&str] = &["shared/logs.sh", "lib.sh", "logs.sh", "evidence.sh"];

/// Shells that a node may have as /bin/sh.
const SHELLS: [&[&str]; 4] = [&["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]];

const ALL_ONLINE: &str = "\
CRS-4638: Oracle High Availability Services is online
CRS-4537: Cluster Ready Services is online
CRS-4529: Cluster Synchronization Services is online
CRS-4533: Event Manager is online
";

/// As 11.2 prints it.
const RESOURCES: &str = "\
--------------------------------------------------------------------------------
NAME           TARGET  STATE        SERVER                   STATE_DETAILS       
--------------------------------------------------------------------------------
Cluster Resources
--------------------------------------------------------------------------------
ora.asm
      1        ONLINE  ONLINE       rac1                     Started             
ora.cluster_interconnect.haip
      1        ONLINE  ONLINE       rac1                                         
ora.crf
      1        ONLINE  ONLINE       rac1                                         
ora.crsd
      1        ONLINE  ONLINE       rac1                                         
ora.cssd
      1        ONLINE  ONLINE       rac1                                         
ora.cssdmonitor
      1        ONLINE  ONLINE       rac1                                         
ora.ctssd
      1        ONLINE  ONLINE       rac1                     ACTIVE:0            
ora.diskmon
      1        OFFLINE OFFLINE                                                   
ora.drivers.acfs
      1        ONLINE  ONLINE       rac1                                         
ora.evmd
      1        ONLINE  ONLINE       rac1                                         
ora.gipcd
      1        ONLINE  ONLINE       rac1                                         
ora.gpnpd
      1        ONLINE  ONLINE       rac1                                         
ora.mdnsd
      1        ONLINE  ONLINE       rac1                                         
";

/// The daemons of the chain, by fact.
const CHAIN: [(&str, &str); 10] = [
    ("ohasd", "ohasd.bin"),
    ("gpnpd", "gpnpd.bin"),
    ("gipcd", "gipcd.bin"),
    ("mdnsd", "mdnsd.bin"),
    ("cssdmonitor", "cssdmonitor"),
    ("cssd", "ocssd.bin"),
    ("ctssd", "octssd.bin"),
    ("evmd", "evmd.bin"),
    ("crsd", "crsd.bin"),
    ("listeners", "tnslsnr"),
];

/// A grid home whose programs are really `dash` waiting on its input.
struct Node {
    dir: tempfile::TempDir,
    running: Vec<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Node {
    fn new() -> Self {
        let node =
            Self { dir: tempfile::Builder::new().prefix("grid node's ").tempdir().unwrap(), running: Vec::new() };
        fs::set_permissions(node.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for dir in ["grid/bin", "grid/cdata", "etc"] {
            fs::create_dir_all(node.path(dir)).unwrap();
        }
        for name in CHAIN.iter().map(|(_, program)| *program).chain(["oracle", "oraagent.bin"]) {
            fs::copy("/bin/dash", node.path("grid/bin").join(name)).unwrap();
        }
        let olr = node.file("grid/cdata/rac1.olr", "");
        // A carriage return, as from an editor on another system.
        node.file("etc/olr.loc", &format!("olrconfig_loc={olr}\r\ncrs_home={}\r\n", node.name("grid")));
        node.says(&[("check crs", ALL_ONLINE, 0), ("stat res -t -init", RESOURCES, 0)]);
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
        self.name(name)
    }

    /// What crsctl says to each command, and its exit status.
    fn says(&self, answers: &[(&str, &str, i32)]) {
        let cases = answers.iter().fold(String::new(), |cases, (command, answer, status)| {
            format!("{cases}{})\ncat <<'END'\n{answer}END\nexit {status} ;;\n", quote(command))
        });
        self.crsctl(&format!("case $* in\n{cases}*) echo 'CRS-10001: what?'; exit 64 ;;\nesac"));
    }

    fn crsctl(&self, body: &str) {
        // A new file each time: the old one may be running.
        let _ = fs::remove_file(self.path("grid/bin/crsctl"));
        self.file("grid/bin/crsctl", &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(self.path("grid/bin/crsctl"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn start(&mut self, name: &str) -> usize {
        self.start_as(name, None, &[])
    }

    fn start_all(&mut self) {
        for (_, program) in CHAIN {
            self.start(program);
        }
        self.start_asm();
    }

    fn start_asm(&mut self) -> usize {
        self.start_as("oracle", Some("asm_pmon_+ASM1"), &[])
    }

    /// Its arguments come after those that make dash wait.
    fn start_as(&mut self, name: &str, called: Option<&str>, args: &[&str]) -> usize {
        let mut command = Command::new(self.path("grid/bin").join(name));
        command.args(args).stdin(Stdio::piped());
        if let Some(called) = called {
            command.arg0(called);
        }
        loop {
            // Another test's fork may still hold the file open for writing.
            match command.spawn() {
                Ok(child) => {
                    self.running.push(child);
                    // Until exec is done the process still looks like this test.
                    std::thread::sleep(Duration::from_millis(20));
                    return self.running.len() - 1;
                }
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => panic!("{command:?}: {e}"),
            }
        }
    }

    fn stop(&mut self, index: usize) {
        self.running[index].kill().unwrap();
        self.running[index].wait().unwrap();
    }

    /// Runs a script as gsctl would, with these shell variables set before it.
    #[track_caller]
    fn run(&self, shell: &[&str], scripts: &[&str], vars: &[(&str, &str)], prefix: &[&str]) -> Output {
        let olr_loc = self.name("etc/olr.loc");
        let mut all = vec![("grid_home", ""), ("olr_loc", &olr_loc), ("sudo", ""), ("crsctl_timeout", "10")];
        all.extend(vars);
        let text: String =
            all.iter().map(|(name, value)| [name, "=", &quote(value), "\n"].concat()).collect::<String>()
                + &script(scripts);
        let argv: Vec<&str> = prefix.iter().chain(shell).copied().collect();
        let output = Command::new(argv[0])
            .args(&argv[1..])
            .arg("-c")
            .arg(text)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; apt-get install -y busybox dash bash util-linux", argv[0]));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
        output
    }

    #[track_caller]
    fn look(&self, shell: &[&str], vars: &[(&str, &str)]) -> Facts {
        let output = self.run(shell, NODE, vars, &[]);
        assert_eq!(output.status.code(), Some(0), "{shell:?}");
        parse_facts(&output.stdout)
    }
}

#[track_caller]
fn has(shell: &[&str], facts: &Facts, want: &[(&str, &str)]) {
    for (key, value) in want {
        assert_eq!(facts.get(*key).map(String::as_str), Some(*value), "{shell:?} {key}: {facts:#?}");
    }
}

#[test]
fn from_down_to_running() {
    alone(|| {
        for shell in SHELLS {
            let mut node = Node::new();
            let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
            let host = host.trim().split('.').next().unwrap().to_owned();
            node.file(&format!("etc/scls_scr/{host}/root/ohasdrun"), "stop\n");
            node.file(&format!("etc/scls_scr/{host}/root/ohasdstr"), "disable");
            let no_ohas = "CRS-4639: Could not contact Oracle High Availability Services\n";
            node.says(&[("check crs", no_ohas, 1), ("stat res -t -init", no_ohas, 1)]);
            let facts = node.look(shell, &[]);
            has(
                shell,
                &facts,
                &[
                    ("installed", "yes"),
                    ("grid_home_dir", "ok"),
                    ("processes", "visible"),
                    ("olr", "ok"),
                    ("ohasdrun", "stop"),
                    ("autostart", "disabled"),
                    ("has", "offline"),
                    ("crs", "offline"),
                    ("check_error", no_ohas.trim()),
                    ("check_crs", "not online: has, crs, css, evm"),
                    ("daemons", "0"),
                    ("asm", "none"),
                    ("state", "down"),
                ],
            );
            has(shell, &facts, &[("found_grid_home", &node.name("grid"))]);
            for (fact, _) in CHAIN {
                has(shell, &facts, &[(fact, "none")]);
            }

            node.says(&[("check crs", ALL_ONLINE, 0), ("stat res -t -init", RESOURCES, 0)]);
            node.start_all();
            node.start("oraagent.bin");
            for light in ["0", "1"] {
                let facts = node.look(shell, &[("light", light), ("found_grid_home", &node.name("grid"))]);
                for (fact, _) in CHAIN {
                    has(shell, &facts, &[(fact, "running")]);
                }
                has(
                    shell,
                    &facts,
                    &[
                        ("asm", "running"),
                        ("asm_instance", "+ASM1"),
                        ("oraagent", "running"),
                        ("cssdagent", "none"),
                        ("daemons", "12"),
                        ("state", "running"),
                    ],
                );
                // A light look asks crsctl nothing here.
                assert_eq!(facts.contains_key("check_crs"), light == "0", "{shell:?}");
            }
        }
    });
}

#[test]
fn resources() {
    alone(|| {
        for shell in SHELLS {
            let node = Node::new();
            let facts = node.look(shell, &[]);
            has(
                shell,
                &facts,
                &[
                    ("res_ora_asm", "ONLINE"),
                    ("res_ora_asm_target", "ONLINE"),
                    ("res_ora_asm_details", "Started"),
                    ("res_ora_cluster_interconnect_haip", "ONLINE"),
                    ("res_ora_cluster_interconnect_haip_details", ""),
                    ("res_ora_ctssd_details", "ACTIVE:0"),
                    ("res_ora_diskmon", "OFFLINE"),
                    ("res_ora_diskmon_target", "OFFLINE"),
                    // diskmon is OFFLINE nearly everywhere.
                    ("not_online", ""),
                    ("autostart", "unknown"),
                    ("check_crs", "online"),
                ],
            );
            // 19c words the head in another way, has STABLE in each line, and ora.storage.
            let newer = "\
Name           Target  State        Server                   State details       
--------------------------------------------------------------------------------
Cluster Resources
--------------------------------------------------------------------------------
ora.asm
      1        ONLINE  OFFLINE                               Instance Shutdown,STABLE
ora.crsd
      1        ONLINE  INTERMEDIATE rac1                     STABLE
ora.cssd
      1        ONLINE  OFFLINE      rac1                     STARTING
ora.diskmon
      1        OFFLINE OFFLINE                               STABLE
ora.storage
      1        ONLINE  OFFLINE                               STABLE
";
            let enabled = "CRS-4622: Oracle High Availability Services autostart is enabled.\n";
            node.says(&[("check crs", ALL_ONLINE, 0), ("stat res -t -init", newer, 0), ("config crs", enabled, 0)]);
            has(
                shell,
                &node.look(shell, &[]),
                &[
                    ("res_ora_asm", "OFFLINE"),
                    ("res_ora_asm_details", "Instance Shutdown,STABLE"),
                    ("res_ora_crsd", "INTERMEDIATE"),
                    ("res_ora_crsd_details", "STABLE"),
                    ("res_ora_cssd", "OFFLINE"),
                    ("res_ora_cssd_details", "STARTING"),
                    (
                        "not_online",
                        "ora.asm (Instance Shutdown,STABLE), ora.crsd (INTERMEDIATE, STABLE), ora.cssd (STARTING), ora.storage (STABLE)",
                    ),
                    ("autostart", "enabled"),
                ],
            );
        }
    });
}

#[test]
fn what_check_crs_says() {
    alone(|| {
        let partly = "\
CRS-4638: Oracle High Availability Services is online
CRS-4535: Cannot communicate with Cluster Ready Services
CRS-4530: Communications failure contacting Cluster Synchronization Services daemon
CRS-4534: Cannot communicate with Event Manager
";
        // The words may be in any language; a library may complain first.
        let noisy =
            "ld.so: warning: no version\nCRS-4638: en ligne\nCRS-4537: en ligne\nCRS-4529: en ligne\nCRS-45330: x\n";
        for shell in SHELLS {
            let node = Node::new();
            let check = |vars: &[(&str, &str)]| parse_facts(&node.run(shell, CHECK, vars, &[]).stdout);
            has(
                shell,
                &check(&[]),
                &[("check_crs", "online"), ("check_error", ""), ("evm", "online"), ("check_rc", "0")],
            );
            node.says(&[("check crs", partly, 0)]);
            has(
                shell,
                &check(&[]),
                &[
                    ("has", "online"),
                    ("crs", "offline"),
                    ("css", "offline"),
                    ("evm", "offline"),
                    ("check_crs", "not online: crs, css, evm"),
                    ("check_error", "CRS-4535: Cannot communicate with Cluster Ready Services"),
                ],
            );
            node.says(&[("check crs", noisy, 0)]);
            has(shell, &check(&[]), &[("crs", "online"), ("evm", "unknown"), ("check_crs", "not online: evm")]);
            // One that hangs, and takes no notice of being asked to end.
            node.crsctl("trap '' TERM; sleep 10 & sleep 10");
            has(
                shell,
                &check(&[("crsctl_timeout", "1")]),
                &[("check_crs", "no answer"), ("check_error", "crsctl did not answer within 1 s")],
            );
            fs::remove_file(node.path("grid/bin/crsctl")).unwrap();
            has(shell, &check(&[]), &[("check_crs", "no crsctl")]);
        }
    });
}

#[test]
fn states_between() {
    alone(|| {
        for shell in SHELLS {
            let mut node = Node::new();
            let line = |name: &str, target: &str, state: &str, details: &str| {
                format!("{name}\n      1        {target:<7} {state:<12} {:<24} {details}\n", "rac1")
            };
            let ohasd = node.start("ohasd.bin");
            let nothing = line("ora.cssd", "ONLINE", "OFFLINE", "STARTING");
            node.says(&[("check crs", "CRS-4638: x\n", 0), ("stat res -t -init", &nothing, 0)]);
            has(shell, &node.look(shell, &[]), &[("state", "starting"), ("ohasd", "running"), ("gpnpd", "none")]);
            // crsctl stop cluster.
            let stopped = line("ora.cssd", "OFFLINE", "OFFLINE", "");
            node.says(&[("check crs", "CRS-4638: x\n", 0), ("stat res -t -init", &stopped, 0)]);
            has(shell, &node.look(shell, &[]), &[("state", "stack-stopped")]);
            // crsctl stop crs is under way.
            for (target, details) in [("OFFLINE", ""), ("ONLINE", "STOPPING")] {
                let stopping = line("ora.cssd", target, "ONLINE", details);
                node.says(&[("check crs", "CRS-4638: x\n", 0), ("stat res -t -init", &stopping, 0)]);
                has(shell, &node.look(shell, &[]), &[("state", "stopping")]);
            }
            // All runs, but crsd can't read the OCR.
            node.start_all();
            let no_crs = "CRS-4638: x\nCRS-4535: x\nCRS-4529: x\nCRS-4533: x\n";
            node.says(&[("check crs", no_crs, 0), ("stat res -t -init", RESOURCES, 0)]);
            has(shell, &node.look(shell, &[]), &[("state", "partial"), ("check_crs", "not online: crs")]);
            // ohasd was killed.
            node.stop(ohasd);
            node.stop(1);
            node.says(&[("check crs", "CRS-4639: x\n", 1)]);
            has(shell, &node.look(shell, &[]), &[("state", "partial"), ("ohasd", "none"), ("cssd", "running")]);
        }
    });
}

#[test]
fn nothing_of_oracle_is_there() {
    alone(|| {
        for shell in SHELLS {
            has(
                shell,
                &Node::new().look(shell, &[("olr_loc", "/nonexistent/olr.loc")]),
                &[("state", "not-installed"), ("installed", "no"), ("olr", "unknown"), ("grid_home_dir", "missing")],
            );
        }
    });
}

#[test]
fn what_a_process_must_be_to_count() {
    alone(|| {
        for shell in SHELLS {
            let mut node = Node::new();
            let light = [("light", "1")];
            // A grep for d.bin would find all of these: another place, an argument, an ordinary server of ASM, other listeners.
            let elsewhere = node.name("crsd.bin");
            fs::copy("/bin/dash", &elsewhere).unwrap();
            node.start_as("../../crsd.bin", None, &[]);
            let bin = node.name("grid/bin");
            let named = format!("{bin}/ohasd.bin");
            node.start_as("../../crsd.bin", Some(&named), &[]);
            node.start_as("oracle", Some("oracle+ASM1"), &[]);
            node.start_as("../../crsd.bin", Some("asm_pmon_+ASM1"), &[]);
            for name in ["ASMNET1LSNR_ASM", "MGMTLSNR"] {
                // What dash takes for a script.
                node.file(name, "read -r _; :\n");
                let mut command = Command::new(node.path("grid/bin/tnslsnr"));
                command.arg(name).current_dir(node.dir.path()).stdin(Stdio::piped());
                node.running.push(command.spawn().unwrap());
            }
            std::thread::sleep(Duration::from_millis(50));
            has(
                shell,
                &node.look(shell, &light),
                &[("ohasd", "none"), ("crsd", "none"), ("asm", "none"), ("listeners", "none"), ("listener_names", "")],
            );
            // A patch replaced the file below a running process; the grid home is a link.
            node.start("gpnpd.bin");
            fs::remove_file(node.path("grid/bin/gpnpd.bin")).unwrap();
            fs::rename(node.path("grid"), node.path("grid_1")).unwrap();
            symlink("grid_1", node.path("grid")).unwrap();
            node.start("mdnsd.bin");
            has(shell, &node.look(shell, &light), &[("gpnpd", "running"), ("mdnsd", "running")]);
            // A zombie runs no more.
            let zombie = node.start("evmd.bin");
            node.running[zombie].kill().unwrap();
            std::thread::sleep(Duration::from_millis(50));
            has(shell, &node.look(shell, &light), &[("evmd", "none")]);
        }
    });
}

#[test]
fn cssd_that_is_of_no_use_yet() {
    alone(|| {
        for shell in SHELLS {
            let mut node = Node::new();
            node.start("ocssd.bin");
            let light = [("light", "1")];
            let down = "CRS-4530: Communications failure contacting Cluster Synchronization Services daemon\n";
            node.says(&[("check css", down, 0)]);
            has(shell, &node.look(shell, &light), &[("cssd", "starting"), ("state", "partial")]);
            node.says(&[("check css", "CRS-4529: Cluster Synchronization Services is online\n", 0)]);
            has(shell, &node.look(shell, &light), &[("cssd", "running")]);
            // What comes after it proves that it is of use.
            node.says(&[("check css", down, 0)]);
            node.start("octssd.bin");
            has(shell, &node.look(shell, &light), &[("cssd", "running")]);
        }
    });
}

#[test]
fn crsd_that_is_of_no_use_yet() {
    alone(|| {
        for shell in SHELLS {
            let mut node = Node::new();
            node.start("crsd.bin");
            let light = [("light", "1")];
            node.says(&[("check crs", "CRS-4638: x\nCRS-4535: Cannot communicate with Cluster Ready Services\n", 0)]);
            has(shell, &node.look(shell, &light), &[("crsd", "starting"), ("asm", "none"), ("listeners", "none")]);
            node.says(&[("check crs", ALL_ONLINE, 0)]);
            has(shell, &node.look(shell, &light), &[("crsd", "running")]);
            node.says(&[]);
            node.start("tnslsnr");
            has(shell, &node.look(shell, &light), &[("crsd", "running"), ("listeners", "running")]);
        }
    });
}

#[test]
fn asm_and_listeners_that_are_not_here() {
    alone(|| {
        for shell in SHELLS {
            let mut node = Node::new();
            let light = [("light", "1")];
            has(shell, &node.look(shell, &light), &[("asm", "none"), ("listeners", "none")]);
            let any = [("light", "1"), ("asm_needed", "any"), ("listener", "any")];
            has(shell, &node.look(shell, &any), &[("asm", "elsewhere"), ("listeners", "unneeded"), ("state", "down")]);
            // crsd has read the OCR, so there is an ASM: Flex ASM has it on other nodes.
            node.start("crsd.bin");
            has(shell, &node.look(shell, &light), &[("asm", "elsewhere"), ("listeners", "none")]);
        }
    });
}

#[test]
fn as_somebody_else() {
    alone(|| {
        crate::lab::need_root();
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        for shell in SHELLS {
            let mut node = Node::new();
            node.start_all();
            let output = node.run(shell, NODE, &[("light", "0")], &nobody);
            let facts = parse_facts(&output.stdout);
            for (fact, _) in CHAIN {
                has(shell, &facts, &[(fact, "running")]);
            }
            // Not how many there are: ASM has no path to be told by, and other tests may have one.
            has(shell, &facts, &[("asm", "running"), ("state", "running"), ("root", "no")]);
            // The grid home is nobody's business.
            fs::set_permissions(node.path("grid"), fs::Permissions::from_mode(0o700)).unwrap();
            let facts = parse_facts(&node.run(shell, NODE, &[("light", "0")], &nobody).stdout);
            has(shell, &facts, &[("grid_home_dir", "denied"), ("installed", "no"), ("olr", "unknown")]);
        }
    });
}

#[test]
fn start_and_stop_say_what_crsctl_says() {
    alone(|| {
        let failed = "CRS-4124: Oracle High Availability Services startup failed.\n\
                  CRS-4000: Command Start failed, or completed with errors.\n";
        let active = "CRS-4640: Oracle High Availability Services is already active\n\
                  CRS-4000: Command Start failed, or completed with errors.\n";
        let started = "CRS-4123: Oracle High Availability Services has been started.\n";
        let stopped = RESOURCES.replace(
            "ora.cssd\n      1        ONLINE  ONLINE       rac1",
            "ora.cssd\n      1        OFFLINE OFFLINE          ",
        );
        for shell in SHELLS {
            let node = Node::new();
            let run = |script: &[&str], vars: &[(&str, &str)]| {
                let output = node.run(shell, script, vars, &[]);
                (String::from_utf8_lossy(&output.stdout).trim().to_owned(), output.status.code())
            };
            node.says(&[("start crs", started, 0)]);
            assert_eq!(run(START, &[]), (format!("{started}\nchanged=yes"), Some(0)), "{shell:?}");
            node.says(&[("start crs", failed, 1)]);
            let because = failed.lines().next().unwrap();
            let (said, status) = run(START, &[]);
            // For a person, then as evidence.
            let words = failed.lines().fold(String::new(), |words, line| words + " " + line + "\n");
            let want = format!("{failed}\n>> OUTPUT since crsctl start crs\n{words} \nbecause={because}\nhint=");
            assert!(said.starts_with(&want), "{shell:?} {said}");
            assert_eq!(status, Some(1), "{shell:?}");
            // Already active is what was wanted.
            node.says(&[("start crs", active, 1), ("stat res -t -init", RESOURCES, 0)]);
            assert_eq!(run(START, &[]), (active.trim().to_owned(), Some(0)), "{shell:?}");
            // But not where the stack was stopped below it.
            let cluster = "CRS-2672: Attempting to start 'ora.cssd' on 'rac1'\n";
            node.says(&[("start crs", active, 1), ("stat res -t -init", &stopped, 0), ("start cluster", cluster, 0)]);
            let (said, status) = run(START, &[]);
            assert!(said.ends_with(&format!("{cluster}\nchanged=yes")), "{shell:?} {said}");
            assert_eq!(status, Some(0), "{shell:?}");
            node.says(&[("stop crs", "CRS-4133: stopped\n", 0), ("stop crs -f", "CRS-4133: forced\n", 0)]);
            assert_eq!(
                run(STOP, &[("mode", "fast")]),
                ("CRS-4133: stopped\n\nchanged=yes".to_owned(), Some(0)),
                "{shell:?}"
            );
            assert_eq!(
                run(STOP, &[("mode", "immediate")]),
                ("CRS-4133: forced\n\nchanged=yes".to_owned(), Some(0)),
                "{shell:?}"
            );
        }
    });
}

#[test]
fn evidence() {
    alone(|| {
        for shell in SHELLS {
            let node = Node::new();
            let run = |vars: &[(&str, &str)]| {
                String::from_utf8_lossy(&node.run(shell, EVIDENCE, vars, &[]).stdout).into_owned()
            };
            let table = RESOURCES
                .replace("ora.cssd\n      1        ONLINE  ONLINE ", "ora.cssd\n      1        ONLINE  OFFLINE")
                .replace("ora.asm\n      1        ONLINE  ONLINE ", "ora.asm\n      1        ONLINE  OFFLINE");
            node.says(&[("stat res -t -init", &table, 0)]);
            let said = run(&[]);
            let lines: Vec<_> = said.lines().collect();
            assert_eq!(lines[0], "wanted and not ONLINE: ora.asm (Started), ora.cssd", "{shell:?} {said}");
            assert!(lines[1].starts_with("no alert log"), "{shell:?} {said}");
            // 11.2 keeps its alert log in the grid home, 12c and later below ORACLE_BASE.
            node.file("grid/log/rac1/alertrac1.log", "old\n");
            let sent = |path: &str, lines: &str| {
                let said = run(&[]);
                let (head, rest) =
                    said.split_once(&format!(" {}\n", node.name(path))).unwrap_or_else(|| panic!("{said}"));
                assert!(head.contains(">> CRSALERT newest:") && rest.starts_with(lines), "{shell:?} {said}");
            };
            sent("grid/log/rac1/alertrac1.log", " old\n>> ");
            fs::remove_file(node.path("grid/log/rac1/alertrac1.log")).unwrap();
            let params = format!("ORACLE_HOME={}\nORACLE_BASE={}\n", node.name("grid"), node.name("base"));
            node.file("grid/crs/install/crsconfig_params", &params);
            node.file("base/diag/crs/rac1/crs/trace/alert.log", "1\n2\n3\n");
            sent("base/diag/crs/rac1/crs/trace/alert.log", " 1\n 2\n 3\n>> ");
            let tab = format!("other:/x:y\n{}:{}:OraGI19Home1:Y:\n", node.name("grid"), node.name("base2"));
            node.file("grid/install/orabasetab", &tab);
            node.file("base2/diag/crs/rac1/crs/trace/alert.log", "newer\n");
            sent("base2/diag/crs/rac1/crs/trace/alert.log", " newer\n>> ");
        }
    });
}
