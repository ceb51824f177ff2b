//! What the look before a start finds: on a fake node with everything wrong, and on one with nothing wrong, in every shell.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::time::Duration;

use gsctl::testing::builtin_causes;

use crate::alone::alone;
use crate::scripts::{BEFORE_START, NODE, Node, SHELLS};

/// Addresses of a test of its own, where nothing of another test listens: of the node, and of the other one.
fn addresses(test: u8) -> [Ipv4Addr; 2] {
    [1, 2].map(|node| Ipv4Addr::new(127, 77, test, node))
}
const CM_PORT: u16 = 15300;

/// A stopped node with these data directories, each whole, with ports 15400, 15410 and so on; and another node.
fn node(directories: &[&str], [host, peer]: [Ipv4Addr; 2], listens: &str) -> Node {
    let node = Node::new();
    node.file("app/bin/cluster_manual_start", "");
    let mut view = format!("node:1\nnodeName:one\nsshChannel 1:{host}\ncmDataPath :{}\n", node.name("cm"));
    view += &format!("cmServer 1:{host}\nport :{CM_PORT}\ndatanodeCount :{}\n", directories.len());
    for (number, name) in (0..).zip(directories) {
        for part in ["base", "global", "pg_xlog", "pg_tblspc"] {
            fs::create_dir_all(node.path(&format!("{name}/{part}"))).unwrap();
        }
        for (file, text) in [
            ("base/1", ""),
            ("global/pg_control", ""),
            ("pg_xlog/0001", ""),
            ("PG_VERSION", "9.2\n"),
            ("pg_hba.conf", ""),
            ("postgresql.conf", "shared_buffers = 32MB\t# comment\nmax_connections = 200\n"),
        ] {
            node.file(&format!("{name}/{file}"), text);
        }
        node.mode(name, 0o700);
        view += &format!("datanodeLocalDataPath :{}\ndatanodeXlogPath :\n", node.name(name));
        view += &format!("datanodeListenIP 1:{listens}\ndatanodePort :{}\n", 15400 + 10 * number);
    }
    view +=
        &format!("node :2\nnodeName:two\nsshChannel 1:{peer}\ncmDataPath :/cm\ncmServer 1:{peer}\nport :{CM_PORT}\n");
    view += &format!("datanodeCount :1\ndatanodeLocalDataPath :/dn\ndatanodeListenIP 1:{peer}\ndatanodePort :15400\n");
    let view = node.file("view", &view).replace('\'', "'\\''");
    node.cm_ctl(&format!("case $1 in view) cat '{view}' ;; esac"));
    node
}

/// What a look says of obstacles and risks, without the name of the node's directory.
fn found(node: &Node, shell: &[&str], prefix: &[&str]) -> Vec<String> {
    let log = node.name("log");
    let vars = [("node", "1"), ("gausslog", log.as_str()), ("nofile_min", "16")];
    let said = String::from_utf8(node.run_as(shell, BEFORE_START, &vars, prefix).stdout).unwrap();
    let base = node.name("");
    let lines = said.lines().filter(|line| line.starts_with("obstacle_") || line.starts_with("risk_"));
    // Whether a cron runs here is nobody's business.
    lines.filter(|line| !line.starts_with("risk_OG06")).map(|line| line.replace(&base, "")).collect()
}

#[test]
fn on_a_sound_node_nothing_is_found_and_nothing_is_written() {
    let addresses = addresses(1);
    let node = node(&["data 1", "dn2"], addresses, &addresses[0].to_string());
    let shot = || {
        let list =
            std::process::Command::new("find").arg(node.path("")).args(["-printf", "%p %m %T@ %s\n"]).output().unwrap();
        let lines: BTreeSet<String> = String::from_utf8(list.stdout).unwrap().lines().map(str::to_owned).collect();
        lines
    };
    let before = shot();
    for shell in SHELLS {
        assert_eq!(found(&node, shell, &[]), Vec::<String>::new(), "{shell:?}");
    }
    assert_eq!(before, shot());
    // A node that runs is left alone, whatever lies there.
    let mut running = node;
    running.start("cm_agent");
    fs::remove_file(running.path("dn2/base/1")).unwrap();
    assert_eq!(found(&running, SHELLS[0], &[]), Vec::<String>::new());
}

#[test]
fn what_will_keep_a_node_down_is_found() {
    let names = [
        "gone",
        "open",
        "foreign",
        "version",
        "base",
        "link",
        "spaces",
        "space",
        "control",
        "hba",
        "pid",
        "build",
        "semaphores",
        "memory",
        "shared",
    ];
    let [host, peer] = addresses(2);
    let node = node(&names, [host, peer], &host.to_string());
    fs::remove_dir_all(node.path("gone")).unwrap();
    node.mode("open", 0o750);
    node.file("foreign/PG_VERSION", "15\n");
    fs::remove_file(node.path("version/PG_VERSION")).unwrap();
    fs::remove_file(node.path("base/base/1")).unwrap();
    fs::remove_dir_all(node.path("link/pg_xlog")).unwrap();
    symlink("/nowhere/xlog", node.path("link/pg_xlog")).unwrap();
    fs::remove_dir(node.path("spaces/pg_tblspc")).unwrap();
    symlink("/nowhere/space", node.path("space/pg_tblspc/16384")).unwrap();
    fs::rename(node.path("control/global/pg_control"), node.path("control/global/1")).unwrap();
    fs::remove_file(node.path("hba/pg_hba.conf")).unwrap();
    node.file("pid/postmaster.pid", &format!("{}\n", std::process::id()));
    node.file("build/build_completed.start", "");
    fs::remove_file(node.path("build/base/1")).unwrap();
    node.file("semaphores/postgresql.conf", "max_connections = 99999999\n");
    node.file("memory/postgresql.conf", "shared_buffers = 99999GB\n");
    // Its parts lie on disks that several nodes share.
    node.file("shared/postgresql.conf", "enable_dss = on\n");
    for part in ["base", "global", "pg_xlog"] {
        fs::remove_dir_all(node.path(&format!("shared/{part}"))).unwrap();
    }
    node.mode("app/bin/cm_agent", 0o644);
    fs::remove_file(node.path("cm/cm_agent/cm_agent.conf")).unwrap();
    for flag in ["cluster_dilatation_status", "instance_replace_cmserver_1"] {
        node.file(&format!("app/bin/{flag}"), "");
    }
    let _taken = [TcpListener::bind((host, CM_PORT)).unwrap(), TcpListener::bind((host, 15401)).unwrap()];
    // The same port of another address is free for this one.
    let _other = TcpListener::bind((peer, 15400)).unwrap();
    let catalogue = builtin_causes("opengauss").unwrap();
    for shell in SHELLS {
        let found = found(&node, shell, &[]);
        for wanted in [
            "obstacle_OG14=app/bin/cm_agent: it is not executable",
            "obstacle_OG13=cm/cm_agent/cm_agent.conf: it is missing",
            "obstacle_OG15=app/bin/cluster_dilatation_status: ",
            "obstacle_OG27=app/bin/instance_replace_cmserver_1: ",
            "obstacle_OG23=/proc/net/tcp: port 15300 is taken by ",
            "obstacle_OG35=/proc/net/tcp: port 15401 is taken by ",
            "obstacle_OG36=gone: it is not there",
            "obstacle_OG59=open: its mode is drwxr-x---",
            "obstacle_OG61=foreign/PG_VERSION: it says 15",
            "obstacle_OG61=version/PG_VERSION: it is missing",
            "obstacle_OG40=base/base: it is empty",
            "obstacle_OG40=link/pg_xlog: its link leads nowhere",
            "obstacle_OG40=spaces/pg_tblspc: it is missing",
            "obstacle_OG40=space/pg_tblspc/16384: ",
            "obstacle_OG62=control/global/pg_control: it is missing",
            "obstacle_OG47=hba/pg_hba.conf: it is missing",
            "risk_OG56=pid/postmaster.pid: it names the pid ",
            "risk_OG43=build/build_completed.start: ",
            "obstacle_OG51=/proc/sys/kernel/sem: ",
            "risk_OG48=/proc/meminfo: ",
        ] {
            let count = found.iter().filter(|line| line.starts_with(wanted)).count();
            assert_eq!(count, 1, "{shell:?} {wanted}: {found:#?}");
        }
        assert_eq!(found.len(), 20, "{shell:?}: {found:#?}");
        for line in &found {
            let id = line.split(['_', '=']).nth(1).unwrap();
            assert!(catalogue.row(id).is_some(), "{line}");
        }
    }
}

/// What belongs to others, an address that is nowhere, a library that is not there, and a node that does not answer.
#[test]
fn what_belongs_to_others_or_is_elsewhere_is_found() {
    alone(|| {
        let [host, peer] = addresses(3);
        let node = node(&["foreign", "closed", "full"], [host, peer], "10.77.18.1");
        fs::write(node.path("app/bin/gaussdb"), without_library(fs::read("/bin/sleep").unwrap())).unwrap();
        // A disk that is full to the last byte and the last inode.
        fs::create_dir(node.path("small")).unwrap();
        let script = "mount -t tmpfs -o size=1m,nr_inodes=20 none \"$1/small\" && cp -a \"$1/full/.\" \"$1/small\" || exit 1
            for file in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do touch \"$1/small/$file\"; done
            dd if=/dev/zero of=\"$1/small/1\" bs=1k count=2000; sed -i \"s#^\\(datanodeLocalDataPath :.*\\)/full#\\1/small#\" \"$1/view\"";
        let base = node.name("");
        let made =
            std::process::Command::new("sh").args(["-c", script, "sh", base.trim_end_matches('/')]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let give = |name: &str, owner: &str| {
            let given = std::process::Command::new("chown").args(["-R", owner]).arg(node.path(name)).status().unwrap();
            assert!(given.success());
        };
        give("", "65534:65534");
        give("foreign", "65533:65533");
        node.mode("closed", 0o500);
        node.mode("cm", 0o500);
        // Two connections fill the queue of one, and who comes then gets no answer, as behind a firewall.
        let listener =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrV4::new(peer, CM_PORT)).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = SocketAddrV4::new(peer, CM_PORT).into();
        let _queue: Vec<_> =
            (0..4).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()).collect();
        let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        for shell in SHELLS {
            let found = found(&node, shell, &user);
            for wanted in [
                "obstacle_OG37=foreign: it belongs to the user with the id 65533",
                "obstacle_OG37=closed: the cluster user may not read and write there",
                "obstacle_OG26=cm: the cluster user cannot write there",
                "obstacle_OG68=ldd app/bin/gaussdb: libq.so.6 is not found",
                "obstacle_OG65=df -P small: ",
                "obstacle_OG39=df -Pi small: ",
                "obstacle_OG28=ip addr: no interface that is up has the address 10.77.18.1",
                "risk_OG85=connect to 127.77.3.2:15300: no answer within a second",
            ] {
                assert!(found.iter().any(|line| line.starts_with(wanted)), "{shell:?} {wanted}: {found:#?}");
            }
        }
        assert!(std::process::Command::new("umount").arg(node.path("small")).status().unwrap().success());
    });
}

/// Who has a port is told by the user of its socket. A process of ours that cannot be looked into may be one of the cluster's own.
#[test]
fn a_port_is_said_to_be_another_user_s_only_where_it_is() {
    alone(|| {
        let [host, peer] = addresses(5);
        let node = node(&["data"], [host, peer], &host.to_string());
        let base = node.name("");
        let given = std::process::Command::new("chown").args(["-R", "65534:65534", &base]).status().unwrap();
        assert!(given.success());
        let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let _of_root = TcpListener::bind((host, CM_PORT)).unwrap();
        // PR_SET_DUMPABLE
        let hidden = format!(
            "import ctypes, socket, time\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\nserver = socket.create_server(('{host}', 15400))\n\
             print('listens', flush=True)\ntime.sleep(600)"
        );
        let mut child = std::process::Command::new(user[0])
            .args(&user[1..])
            .args(["/usr/bin/python3", "-c", &hidden])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut said).unwrap();
        assert_eq!(said, "listens\n");
        for shell in SHELLS {
            let found = found(&node, shell, &user);
            assert_eq!(
                found,
                [
                    "obstacle_OG23=/proc/net/tcp: port 15300 is taken by a process of another user",
                    "risk_OG35=/proc/net/tcp: port 15400 is taken by a process that cannot be looked into",
                ],
                "{shell:?}"
            );
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

/// A program that wants a library which is nowhere.
fn without_library(mut program: Vec<u8>) -> Vec<u8> {
    let (library, other) = (b"libc.so.6", b"libq.so.6");
    let places: Vec<usize> = (0..program.len()).filter(|&at| program[at..].starts_with(library)).collect();
    assert!(!places.is_empty(), "/bin/sleep wants no libc");
    for at in places {
        program[at..at + other.len()].copy_from_slice(other);
    }
    program
}

/// A process costs a node about a millisecond, and the look before a start is to cost at most 100 ms more than the one of `status`.
#[test]
fn a_look_that_finds_nothing_costs_few_processes() {
    alone(|| {
        let addresses = addresses(4);
        let node = node(&["data 1"], addresses, &addresses[0].to_string());
        let log = node.name("log");
        let vars = [("node", "1"), ("gausslog", log.as_str()), ("nofile_min", "16")];
        // Nothing else runs here, so numbers of processes are given one after the other.
        let last = || -> u32 { fs::read_to_string("/proc/sys/kernel/ns_last_pid").unwrap().trim().parse().unwrap() };
        let cost = |shell: &[&str], script: &str| {
            let before = last();
            node.run(shell, script, &vars);
            last() - before
        };
        for shell in SHELLS {
            let (without, with) = (cost(shell, NODE), cost(shell, BEFORE_START));
            assert!(with <= without + 45, "{shell:?}: {without} processes without, {with} with");
        }
    });
}
