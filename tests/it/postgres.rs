//! The system `postgres`, on real PostgreSQL: every node of the lab has a data directory and a server of its own.
//!
//! What a test believes it has from SQL, from the node's disk and from its processes, not from gsctl.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use gsctl::testing::{Facts, parse_facts, quote};
use rustix::process::Signal;
use serde_json::Value;

use crate::gsctl::{Gsctl, Run};
use crate::lab::{Lab, Node, wait};

const SCRIPTS: [(&str, &str); 5] = [
    ("build.sh", include_str!("../../playbooks/postgres/build.sh")),
    ("evidence.sh", include_str!("../../playbooks/postgres/evidence.sh")),
    ("node.sh", include_str!("../../playbooks/postgres/node.sh")),
    ("promote.sh", include_str!("../../playbooks/postgres/promote.sh")),
    ("writes.sh", include_str!("../../playbooks/postgres/writes.sh")),
];

const PASSWORD: &str = "it's a \\secret";

/// Where the programs are; the newest version.
#[track_caller]
fn programs() -> PathBuf {
    let dirs = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let mut dirs: Vec<PathBuf> = dirs.map(|dir| dir.path().join("bin")).collect();
    dirs.retain(|dir| ["initdb", "pg_ctl", "psql", "pg_basebackup"].iter().all(|name| dir.join(name).is_file()));
    dirs.sort();
    dirs.pop().expect("PostgreSQL is not installed: apt-get install -y postgresql")
}

/// Nodes with PostgreSQL. The first has a server that is up, and takes standbys.
struct Cluster {
    lab: Lab,
    bin: String,
}

impl Cluster {
    #[track_caller]
    fn start(nodes: usize) -> Self {
        let bin = programs().to_str().expect("a plain path").to_owned();
        let cluster = Self { lab: Lab::builder().nodes(nodes).start(), bin };
        for node in cluster.lab.nodes() {
            node.mkdir("run");
            // Next to the data directory, because that is copied to the standby and the address is the node's own.
            let local = format!(
                "listen_addresses = '{}'\nport = {}\nunix_socket_directories = '{}'\n",
                node.address().ip(),
                cluster.port(),
                node.base().join("run").display(),
            );
            node.write("data/local.conf", local);
            let ours = node.address().ip();
            node.write("home/.pgpass", format!("*:{}:*:rep:it's a \\\\secret\n# {ours}\n", cluster.port()));
            node.chmod("home/.pgpass", 0o600);
        }
        let node = cluster.lab.node(1);
        sh(node, &format!("{}/initdb -N -A trust -D {} -E UTF8 --locale=C", cluster.bin, data(node)));
        let conf = "include = '../local.conf'\nfsync = off\nshared_buffers = 8MB\nmax_connections = 20\n\
                    wal_keep_size = 64MB\ncheckpoint_timeout = 1h\n";
        let conf = node.text("data/pg/postgresql.conf") + conf;
        node.write("data/pg/postgresql.conf", conf);
        cluster.admit(node, "scram-sha-256");
        sh(node, &format!("{}/pg_ctl start -w -D {} -l {1}.log", cluster.bin, data(node)));
        cluster.sql(node, &format!("create role rep login replication password {}", literal(PASSWORD)));
        cluster.sql(node, "create table t (x int)");
        cluster
    }

    /// Lets replication in, from anywhere, by this method.
    fn admit(&self, node: &Node, method: &str) {
        let hba = format!("# of {}\nlocal all all trust\nhost all all 127.0.0.0/8 trust\n", node.name());
        let hba = if method.is_empty() { hba } else { format!("{hba}host replication rep 127.0.0.0/8 {method}\n") };
        node.write("data/pg/pg_hba.conf", hba);
        sh(node, &format!("{}/pg_ctl reload -D {} || true", self.bin, data(node)));
    }

    fn port(&self) -> u16 {
        self.lab.port() + 1
    }

    #[track_caller]
    fn sql(&self, node: &Node, sql: &str) -> String {
        sh(node, &self.psql(node, sql))
    }

    fn psql(&self, node: &Node, sql: &str) -> String {
        let run = node.base().join("run").display().to_string();
        let port = self.port();
        format!("{}/psql -XAtq -v ON_ERROR_STOP=1 -h {run} -p {port} -d postgres -c {}", self.bin, quote(sql))
    }

    /// The power cord of one server.
    #[track_caller]
    fn kill(&self, node: &Node) {
        sh(node, &format!("kill -KILL $(head -n 1 {}/postmaster.pid)", data(node)));
        wait::until("no server runs", || self.servers(node) == 0);
    }

    /// Processes of PostgreSQL on the node.
    fn servers(&self, node: &Node) -> usize {
        node.running_exe(PathBuf::from(&self.bin).join("postgres")).len()
    }

    fn gsctl(&self, arguments: &[&str]) -> Gsctl {
        let pgdata = format!("pgdata={}", data(self.lab.node(1)));
        let gsctl = self.lab.gsctl().args(arguments);
        // Without namespaces every node has its own path, so the hosts file tells.
        if self.lab.is_private() {
            gsctl.arg("--var").arg(pgdata)
        } else {
            let lines = self.lab.nodes().iter().map(|node| {
                let line = self.lab.hosts_line(node.name(), node.address());
                format!("{} pgdata={}\n", line.trim_end(), data(node))
            });
            let lines = lines.collect::<Vec<_>>().concat();
            gsctl.hosts_file(self.lab.write_hosts_file(&lines))
        }
    }

    fn on(&self, node: &Node, arguments: &[&str]) -> Gsctl {
        self.gsctl(arguments).arg("-w").arg(node.name())
    }

    /// `standby-build` on a node, from another one.
    fn build(&self, node: &Node, from: &Node, vars: &[&str]) -> Gsctl {
        let mut gsctl = self.on(node, &["play", "postgres/standby-build"]);
        let (host, port) = (format!("primary_host={}", from.address().ip()), format!("primary_port={}", self.port()));
        for var in [host.as_str(), port.as_str(), "primary_user=rep"].iter().chain(vars) {
            gsctl = gsctl.arg("--var").arg(var);
        }
        gsctl
    }

    /// `status` as JSON, and the facts of a host in it.
    #[track_caller]
    fn status(&self) -> Value {
        self.gsctl(&["status", "--system", "postgres", "--json", "-"]).run().expect(0).json()
    }

    /// Waits until a standby of this name streams, as the primary sees it.
    #[track_caller]
    fn streams(&self, primary: &Node, standby: &Node) {
        let sql = format!(
            "select count(*) from pg_stat_replication where state = 'streaming' and application_name = '{}'",
            standby.name()
        );
        wait::until("the standby streams", || self.sql(primary, &sql) == "1");
    }

    /// Waits until a standby has replayed all that the primary has written.
    #[track_caller]
    fn caught_up(&self, primary: &Node, standby: &Node) {
        let lsn = self.sql(primary, "select pg_current_wal_flush_lsn()");
        let sql = format!("select pg_last_wal_replay_lsn() >= '{lsn}'");
        wait::until("the standby has caught up", || self.sql(standby, &sql) == "t");
    }

    fn in_recovery(&self, node: &Node) -> bool {
        self.sql(node, "select pg_is_in_recovery()") == "t"
    }
}

fn data(node: &Node) -> String {
    node.base().join("data/pg").display().to_string()
}

#[track_caller]
fn sh(node: &Node, script: &str) -> String {
    let output = node.sh_as_user(script);
    assert!(output.status.success(), "{}: {script}\n{output:?}", node.name());
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Everything that a run may have left next to the data directory.
fn beside(node: &Node) -> Vec<String> {
    let dir = fs::read_dir(node.outside("data")).expect("the lab is readable");
    let mut names: Vec<_> = dir.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with("pg"));
    names.sort();
    names
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[track_caller]
fn host<'r>(report: &'r Value, name: &str) -> &'r Value {
    let hosts = report["hosts"].as_array().expect("a report has hosts");
    hosts.iter().find(|host| host["host"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

#[track_caller]
fn has(report: &Value, name: &str, facts: &[(&str, &str)]) {
    let known = &host(report, name)["facts"];
    for (fact, value) in facts {
        assert_eq!(known[fact], *value, "{name}: {fact} in {known:#}");
    }
}

#[track_caller]
fn says(run: &Run, words: &[&str]) {
    for text in words {
        assert!(run.stderr.contains(text) || run.text().contains(text), "`{text}` is not said\n{run}");
    }
}

#[test]
fn the_common_part_is_one_text() {
    let block = |script: &'static str| {
        let start = script.find("# >>> common").expect("start of the common part");
        let end = script.find("# <<< common").expect("end of the common part");
        &script[start..end]
    };
    for (name, script) in SCRIPTS {
        assert_eq!(block(script), block(SCRIPTS[0].1), "{name}");
    }
}

#[test]
fn a_standby_is_built_promoted_and_the_old_primary_comes_back() {
    let cluster = Cluster::start(2);
    let (one, two) = (cluster.lab.node(1), cluster.lab.node(2));

    // From nothing.
    let run = cluster.build(two, one, &["slot=two"]).run().expect(0);
    assert!(cluster.in_recovery(two), "{run}");
    cluster.streams(one, two);
    assert_eq!(cluster.sql(one, "select slot_name, active from pg_replication_slots"), "two|t");
    assert_eq!(beside(two), ["pg", "pg.log"], "nothing is left over");
    assert!(!two.exists("data/pg/gsctl.build"));
    assert!(!two.text("data/pg/postgresql.auto.conf").contains("secret"));

    // Again: nothing to do, and the server is not touched.
    let pid = two.text("data/pg/postmaster.pid");
    let again = cluster.build(two, one, &["slot=two"]).arg("--json").arg("-").run().expect(0).json();
    assert_eq!(host(&again, two.name())["outcome"], "ok", "{again:#}");
    assert_eq!(two.text("data/pg/postmaster.pid"), pid);

    cluster.sql(one, "insert into t values (1)");
    cluster.caught_up(one, two);
    let status = cluster.status();
    let upstream = format!("{}:{}", one.address().ip(), cluster.port());
    has(&status, one.name(), &[("role", "primary"), ("timeline", "1"), ("stream", "primary"), ("replicas", "1")]);
    has(&status, two.name(), &[("role", "standby"), ("timeline", "1"), ("stream", "streaming"), ("lag_bytes", "0")]);
    has(
        &status,
        two.name(),
        &[("lag_seconds", "0"), ("upstream", &upstream), ("installed", "yes"), ("pg_ctl_rc", "0")],
    );
    let replication = host(&status, one.name())["facts"]["replication"].as_str().unwrap_or_default();
    assert!(replication.starts_with("node2 127."), "{replication}");
    let shown = cluster.gsctl(&["status", "--system", "postgres"]).run().expect(0);
    let row = shown.text().lines().any(|line| line.starts_with("node2 ") && line.contains("standby"));
    assert!(row, "{shown}");

    // What must not be promoted is not touched.
    let promote = ["promote", "--system", "postgres"];
    let files = sh(one, &format!("ls -A {}", data(one)));
    let refused = cluster.on(one, &promote).run().expect(7);
    says(&refused, &["a primary already"]);
    assert_eq!(sh(one, &format!("ls -A {}", data(one))), files);
    assert_eq!(cluster.sql(one, "select timeline_id from pg_control_checkpoint()"), "1");
    // Not even by force.
    let forced = cluster.on(one, &promote).arg("--force").run().expect(5);
    says(&forced, &["not in standby mode"]);
    assert_eq!(sh(one, &format!("ls -A {}", data(one))), files);
    let refused = cluster.on(two, &promote).run().expect(7);
    says(&refused, &["still answers"]);
    assert!(!two.exists("data/pg/promote"));
    assert!(cluster.in_recovery(two));
    let refused = cluster.gsctl(&promote).run().expect(2);
    says(&refused, &["one host at a time"]);
    says(&cluster.lab.gsctl().arg("promote").run().expect(2), &["no `promote` for the system `opengauss`", "postgres"]);

    // The primary dies. What was written before is there, and more can be written.
    cluster.kill(one);
    let status = cluster.status();
    has(&status, one.name(), &[("role", "down"), ("server", "none"), ("pg_ctl_rc", "3"), ("last_role", "primary")]);
    has(&status, one.name(), &[("control_state", "in production"), ("timeline", "1")]);
    says(&cluster.on(one, &promote).run().expect(7), &["no server runs"]);
    cluster.on(two, &promote).run().expect(0);
    assert!(!cluster.in_recovery(two));
    assert!(!two.exists("data/pg/promote"));
    cluster.sql(two, "insert into t values (2)");
    assert_eq!(cluster.sql(two, "select x from t order by x"), "1\n2");
    has(&cluster.status(), two.name(), &[("role", "primary"), ("timeline", "2"), ("standby_signal", "no")]);

    // The old primary becomes a standby of the new one, keeps its own files, and is promoted by SQL.
    let hba = one.text("data/pg/pg_hba.conf");
    cluster.admit(two, "scram-sha-256");
    cluster.build(one, two, &[]).run().expect(0);
    cluster.streams(two, one);
    assert_eq!(one.text("data/pg/pg_hba.conf"), hba);
    let beside = beside(one);
    assert!(beside.iter().any(|name| name.starts_with("pg.old-")), "the old data is kept: {beside:?}");
    assert!(!beside.contains(&"pg.gsctl".to_owned()), "{beside:?}");
    cluster.sql(two, "insert into t values (3)");
    cluster.caught_up(two, one);
    cluster.kill(two);
    cluster.on(one, &promote).args(["--var", "method=sql"]).run().expect(0);
    cluster.sql(one, "insert into t values (4)");
    assert_eq!(cluster.sql(one, "select x from t order by x"), "1\n2\n3\n4");
    has(&cluster.status(), one.name(), &[("role", "primary"), ("timeline", "3")]);
}

/// The steps of `standby-build` that change something.
const STEPS: [&str; 7] = [
    "keep the node's own files",
    "take a base backup",
    "restore the node's own files",
    "put the new data directory in place",
    "start the standby",
    "wait until it streams",
    "clean up",
];

#[test]
fn a_build_that_was_killed_at_any_step_ends_well_the_next_time() {
    let cluster = Cluster::start(2);
    let (one, two) = (cluster.lab.node(1), cluster.lab.node(2));
    cluster.build(two, one, &[]).run().expect(0);
    for (number, step) in STEPS.iter().enumerate() {
        // There is an old data directory each time, with files of the node's own, and a server that runs on it.
        let mine = format!("# kept {number}\n{}", one.text("data/pg/pg_hba.conf"));
        two.write("data/pg/pg_hba.conf", &mine);
        cluster.sql(one, &format!("insert into t values ({number})"));
        let vars = if number == 0 { ["rebuild=yes", "keep_old=no"] } else { ["rebuild=yes", "keep_old=yes"] };
        let mut running = cluster.build(two, one, &vars).args(["--jsonl", "-"]).spawn();
        running.wait_for_stdout(&format!("\"step_started\",{}", step_pattern(step)));
        running.signal(Signal::KILL);
        running.wait();

        // Without `rebuild`: it goes on with what is there.
        cluster.build(two, one, &vars[1..]).run().expect(0);
        assert!(cluster.in_recovery(two), "{step}");
        cluster.streams(one, two);
        cluster.caught_up(one, two);
        assert_eq!(cluster.sql(two, "select count(*) from t"), (number + 1).to_string(), "{step}");
        // Killed before the build had begun, the standby that streams is what it should be.
        assert_eq!(two.text("data/pg/pg_hba.conf"), mine, "{step}");
        let beside = beside(two);
        assert!(!beside.iter().any(|name| name.contains("gsctl")), "{step}: {beside:?}");
        assert!(!two.exists("data/pg/gsctl.build"), "{step}");
        // What was whole is not made again: one exchange a round. The first round leaves none behind.
        let old = beside.iter().filter(|name| name.contains(".old-")).count();
        assert_eq!(old, number, "{step}: {beside:?}");
    }
}

#[test]
fn a_build_goes_on_from_any_state_that_a_break_leaves() {
    let cluster = Cluster::start(2);
    let (one, two) = (cluster.lab.node(1), cluster.lab.node(2));
    cluster.build(two, one, &[]).run().expect(0);
    let mine = format!("# kept\n{}", one.text("data/pg/pg_hba.conf"));
    two.write("data/pg/pg_hba.conf", &mine);
    let act = |act: &str, more: &str| {
        let vars = format!(
            "act={act} pgdata={} primary_host={} primary_port={} primary_user=rep host=node2 keep_files='pg_hba.conf' {more}\n",
            quote(&data(two)),
            one.address().ip(),
            cluster.port()
        );
        sh(two, &format!("exec /bin/sh -c {}", quote(&(vars.replace(' ', "\n") + SCRIPTS[0].1))));
    };

    // Between the two renames: no data directory at all.
    act("keep", "rebuild=yes");
    act("backup", "");
    act("restore", "");
    sh(two, &format!("{}/pg_ctl stop -m fast -w -D {}", cluster.bin, data(two)));
    sh(two, &format!("mv {0} {0}.old-1; printf '%s\\n' {0}.old-1 >>{0}.gsctl/aside", data(two)));
    // The process that was at work is gone, and its number is another's now.
    two.write("data/pg.gsctl/owner", "1 1\n");
    has(&cluster.status(), two.name(), &[("role", "none"), ("data", "missing")]);
    cluster.build(two, one, &["keep_old=no"]).run().expect(0);
    cluster.streams(one, two);
    assert_eq!(two.text("data/pg/pg_hba.conf"), mine);
    assert_eq!(beside(two), ["pg", "pg.log"]);

    // In the middle of the last step: the build is over, only leftovers are removed.
    let pid = two.text("data/pg/postmaster.pid");
    two.write("data/pg.gsctl/id", "x\n");
    two.write("data/pg.gsctl/finished", "");
    two.write("data/pg.gsctl.trash/id", "x\n");
    cluster.build(two, one, &[]).run().expect(0);
    assert_eq!(beside(two), ["pg", "pg.log"]);
    assert_eq!(two.text("data/pg/postmaster.pid"), pid);

    // Half a base backup is none.
    act("keep", "rebuild=yes");
    two.write("data/pg.gsctl/data/PG_VERSION", "15\n");
    cluster.build(two, one, &["keep_old=no"]).run().expect(0);
    cluster.streams(one, two);
    assert_eq!(beside(two), ["pg", "pg.log"]);

    // By force it is promoted although its primary lives, which is what force is for.
    let promote = ["promote", "--system", "postgres"];
    cluster.on(two, &promote).run().expect(7);
    cluster.on(two, &promote).arg("--force").run().expect(0);
    cluster.sql(two, "insert into t values (1)");
}

fn step_pattern(step: &str) -> String {
    format!("\"step\":\"{step}\"")
}

#[test]
fn what_is_wrong_is_said_before_anything_is_changed() {
    let cluster = Cluster::start(2);
    let (one, two) = (cluster.lab.node(1), cluster.lab.node(2));

    // No entry for replication: the first missing stage is the primary.
    cluster.admit(one, "");
    let run = cluster.build(two, one, &[]).run().expect(7);
    says(&run, &["no entry for replication", "host replication USER"]);
    let report = cluster.build(two, one, &[]).args(["--json", "-"]).run().expect(7).json();
    let chain = &host(&report, two.name())["chain"];
    assert_eq!((&chain[0]["stage"], &chain[0]["up"]), (&"primary".into(), &false.into()), "{chain:#}");
    has(&report, two.name(), &[("primary", "no-entry"), ("build", "needed")]);
    // A password that is not there, and a role that is not there.
    cluster.admit(one, "scram-sha-256");
    two.chmod("home/.pgpass", 0o644);
    says(&cluster.build(two, one, &[]).run().expect(7), &["does not let primary_user in", ".pgpass"]);
    two.chmod("home/.pgpass", 0o600);
    // A wrong port.
    let wrong = format!("primary_port={}", cluster.port() + 1);
    says(&cluster.build(two, one, &[&wrong]).run().expect(7), &["nothing answers at", "listen_addresses"]);
    // A directory of somebody else's.
    two.write("data/pg/precious", "x");
    says(&cluster.build(two, one, &[]).run().expect(7), &["no data directory of PostgreSQL"]);
    assert_eq!(two.text("data/pg/precious"), "x");
    two.remove("data/pg");
    assert_eq!(beside(two), Vec::<String>::new(), "nothing was changed");

    // A primary that runs, even by force.
    let before = sh(one, &format!("ls -A {}", data(one)));
    says(&cluster.build(one, one, &[]).run().expect(7), &["a primary runs here"]);
    let forced = cluster.build(one, one, &["rebuild=yes"]).arg("--force").run().expect(5);
    says(&forced, &["that is no standby"]);
    assert_eq!(sh(one, &format!("ls -A {}", data(one))), before);
    assert!(!cluster.in_recovery(one));

    // A server that cannot start: its own last words. The next run goes on from there.
    let local = two.text("data/local.conf");
    two.write("data/local.conf", local.clone() + "max_wal_senders = '8 hares'\n");
    let run = cluster.build(two, one, &[]).run().expect(5);
    says(&run, &["step `start the standby`", "the server does not start", "max_wal_senders"]);
    two.write("data/local.conf", &local);
    // One that starts and does not stream.
    let astray = "start_options=-c primary_conninfo='host=127.0.0.1 port=1'";
    let run = cluster.build(two, one, &[astray, "wait=2s"]).run().expect(5);
    says(&run, &["first missing stage: streaming (disconnected)", "--var rebuild=yes"]);
    has(&cluster.status(), two.name(), &[("role", "standby"), ("stream", "disconnected"), ("upstream", "127.0.0.1:1")]);
    sh(two, &format!("{}/pg_ctl stop -m fast -w -D {}", cluster.bin, data(two)));
    let down = [("role", "down"), ("last_role", "standby"), ("control_state", "shut down in recovery")];
    has(&cluster.status(), two.name(), &down);
    cluster.build(two, one, &[]).run().expect(0);
    cluster.streams(one, two);
    assert_eq!(beside(two), ["pg", "pg.log"]);
}

#[test]
fn the_scripts_run_in_every_shell() {
    let cluster = Cluster::start(2);
    let (one, two) = (cluster.lab.node(1), cluster.lab.node(2));
    cluster.build(two, one, &[]).run().expect(0);
    cluster.caught_up(one, two);
    let run = |node: &Node, shell: &str, head: &str, script: &str| {
        let vars = format!("pgdata={}\nmethod=signal\n{head}\n", quote(&data(node)));
        let output = node.sh_as_user(&format!("exec {shell} -c {}", quote(&(vars + script))));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell}");
        (output.status.code(), parse_facts(&output.stdout))
    };
    let script = |name: &str| SCRIPTS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    let known = |facts: &Facts, fact: &str| facts.get(fact).cloned().unwrap_or_default();
    for shell in ["dash", "bash", "bash --posix", "busybox sh"] {
        let (status, facts) = run(one, shell, "", script("node.sh"));
        assert_eq!((status, known(&facts, "role").as_str()), (Some(0), "primary"), "{shell} {facts:#?}");
        let (status, facts) = run(two, shell, "", script("node.sh"));
        assert_eq!((status, known(&facts, "role").as_str()), (Some(0), "standby"), "{shell} {facts:#?}");
        assert_eq!(known(&facts, "upstream_answers"), "yes", "{shell} {facts:#?}");
        let (_, facts) = run(two, shell, "old_primary=127.0.0.1:1", script("node.sh"));
        assert_eq!(known(&facts, "upstream_answers"), "no", "{shell} {facts:#?}");
        let (status, facts) = run(one, shell, "", script("writes.sh"));
        assert_eq!((status, known(&facts, "writable").as_str()), (Some(0), "yes"), "{shell} {facts:#?}");
        let (_, facts) = run(two, shell, "", script("writes.sh"));
        assert_eq!(known(&facts, "writable"), "no", "{shell} {facts:#?}");
        let (status, facts) = run(one, shell, "", script("promote.sh"));
        assert_eq!(status, Some(1), "{shell}");
        assert!(known(&facts, "because").contains("not in standby mode"), "{shell} {facts:#?}");
        // A signal that cannot be sent leaves no file behind.
        let (status, facts) = run(two, shell, "kill() { return 1; }", script("promote.sh"));
        assert_eq!(status, Some(1), "{shell}");
        assert!(known(&facts, "because").contains("cannot be signalled"), "{shell} {facts:#?}");
        assert!(!two.exists("data/pg/promote"), "{shell}");
        // An act of a build where there is none.
        let (status, facts) = run(two, shell, "act=start primary_host=x keep_files= host=node2", script("build.sh"));
        assert_eq!(status, Some(1), "{shell}");
        assert!(known(&facts, "because").contains("not in place"), "{shell} {facts:#?}");
    }
    assert!(cluster.in_recovery(two));
    // A wrong password is never in a fact, and a server with hot_standby off is a standby that takes no questions.
    let pg_ctl = format!("{}/pg_ctl -w -D {}", cluster.bin, data(two));
    sh(two, &format!("{pg_ctl} restart -m fast -o '-c hot_standby=off' -l {}.log", data(two)));
    let (_, facts) = run(two, "dash", "", script("node.sh"));
    assert_eq!((known(&facts, "answers").as_str(), known(&facts, "role").as_str()), ("closed", "standby"));
    // A number in postmaster.pid that is another process's proves nothing.
    cluster.kill(two);
    let stale = two.text("data/pg/postmaster.pid");
    let mut lines: Vec<&str> = stale.lines().collect();
    lines[0] = "1";
    two.write("data/pg/postmaster.pid", lines.join("\n") + "\n");
    let (_, facts) = run(two, "dash", "light=1", script("node.sh"));
    assert_eq!((known(&facts, "server").as_str(), known(&facts, "role").as_str()), ("none", "down"));
}

/// Failures of a real server, each made on its node and named by `gsctl diagnose`.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of failures")]
fn a_server_that_does_not_start_is_diagnosed() {
    let cluster = Cluster::start(1);
    let node = cluster.lab.node(1);
    let dir = data(node);
    let diagnose = || cluster.gsctl(&["diagnose", "--system", "postgres"]).arg("--json").arg("-").run();
    let stopped = || {
        sh(node, &format!("{}/pg_ctl stop -m immediate -D {dir} || true", cluster.bin));
        wait::until("no server runs", || cluster.servers(node) == 0);
    };
    let try_to_start = || {
        sh(node, &format!("{}/pg_ctl start -w -t 5 -D {dir} -l {dir}.log || true", cluster.bin));
    };
    let run = diagnose().expect(0);
    assert!(run.json()["hosts"][0]["cause"].is_null(), "{run}");
    stopped();
    let conf = node.text("data/pg/postgresql.conf");
    let hba = node.text("data/pg/pg_hba.conf");
    // Held by this test for as long as it goes on.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let set = |lines: &str| format!("printf '%s\\n' {} >>{dir}/postgresql.conf", quote(lines));
    let label = "START WAL LOCATION: 7/28 (file 000000010000000700000000)\nCHECKPOINT LOCATION: 7/60\nBACKUP METHOD: \
                 streamed\nBACKUP FROM: primary\nSTART TIME: 2026-05-11 10:00:01 UTC\nLABEL: x\nSTART TIMELINE: 1\n";
    // Each makes the trouble, and what undoes it.
    let troubles: [(&str, &str, String, &str); 26] = [
        // A process of the same user, which is no server.
        (
            "PG01",
            "already exists",
            format!("sleep 300 </dev/null >/dev/null 2>&1 & echo $! >{dir}/postmaster.pid"),
            "kill $(sed -n 1p {dir}/postmaster.pid); rm -f {dir}/postmaster.pid",
        ),
        // pg_ctl does not try in that case.
        (
            "PG02",
            "is empty",
            format!(": >{dir}/postmaster.pid; {}/postgres -D {dir} >>{dir}.log 2>&1 || true", cluster.bin),
            "rm -f {dir}/postmaster.pid",
        ),
        (
            "PG10",
            "could not access directory",
            format!("mv {dir} {dir}.away; {}/postgres -D {dir} >>{dir}.log 2>&1 || true", cluster.bin),
            // Files of the configuration are written back before.
            "rm -rf {dir}; mv {dir}.away {dir}",
        ),
        // It comes up, and serves nobody.
        (
            "PG44",
            "pg_filenode.map",
            format!("mv {dir}/global/pg_filenode.map {dir}/x"),
            "mv {dir}/x {dir}/global/pg_filenode.map",
        ),
        ("PG03", "Address already in use", set(&format!("listen_addresses = '127.0.0.1'\nport = {port}")), ""),
        (
            "PG06",
            ".lock",
            format!(
                "{}; sleep 300 </dev/null >/dev/null 2>&1 & echo $! >{dir}/.s.PGSQL.15999.lock",
                set(&format!("unix_socket_directories = '{dir}'\nport = 15999"))
            ),
            "kill $(sed -n 1p {dir}/.s.PGSQL.15999.lock); rm -f {dir}/.s.PGSQL.15999.lock",
        ),
        ("PG11", "Permission denied", format!("chmod 0500 {dir}"), "chmod 0700 {dir}"),
        (
            "PG15",
            "control file",
            format!(
                "cp {dir}/global/pg_control {dir}/x; printf zzzz | dd of={dir}/global/pg_control bs=1 seek=48 conv=notrunc 2>/dev/null"
            ),
            "cp {dir}/x {dir}/global/pg_control; rm {dir}/x",
        ),
        // Nobody has so many huge pages.
        ("PG20", "could not map anonymous shared memory", set("huge_pages = on\nshared_buffers = '1TB'"), ""),
        ("PG27", "could not open log file", set("logging_collector = on\nlog_directory = '/nonexistent/x'"), ""),
        (
            "PG29",
            "valid checkpoint record",
            format!("mkdir {dir}/x; mv {dir}/pg_wal/0* {dir}/x/"),
            "mv {dir}/x/0* {dir}/pg_wal/; rmdir {dir}/x",
        ),
        (
            "PG30",
            "required checkpoint record",
            format!("printf '%s' {} >{dir}/backup_label", quote(label)),
            "rm -f {dir}/backup_label",
        ),
        ("PG33", "recovery.conf", format!(": >{dir}/recovery.conf"), "rm -f {dir}/recovery.conf"),
        ("PG34", "restore_command", format!(": >{dir}/recovery.signal"), "rm -f {dir}/recovery.signal"),
        // It comes up, and follows nobody.
        (
            "PG38",
            "could not connect to the primary server",
            format!("{}; : >{dir}/standby.signal", set("primary_conninfo = 'host=127.0.0.1 port=1'")),
            "rm -f {dir}/standby.signal",
        ),
        ("PG16", "no_such_param", format!("echo no_such_param=1 >>{dir}/postgresql.conf"), ""),
        ("PG18", "pg_hba.conf", format!("echo 'host all all sm9' >{dir}/pg_hba.conf"), ""),
        ("PG08", "permissions", format!("chmod 0777 {dir}"), "chmod 0700 {dir}"),
        (
            "PG14",
            "could not find the database system",
            format!("mv {dir}/global/pg_control {dir}/x"),
            "mv {dir}/x {dir}/global/pg_control",
        ),
        (
            "PG12",
            "incompatible",
            format!("mv {dir}/PG_VERSION {dir}/x; echo 9.6 >{dir}/PG_VERSION"),
            "mv {dir}/x {dir}/PG_VERSION",
        ),
        (
            "PG19",
            "could not access file",
            format!("echo \"shared_preload_libraries='nothing_x'\" >>{dir}/postgresql.conf"),
            "",
        ),
        ("PG25", "lc_messages", format!("echo \"lc_messages='xx_YY'\" >>{dir}/postgresql.conf"), ""),
        ("PG26", "max_connections", format!("echo 'superuser_reserved_connections=20' >>{dir}/postgresql.conf"), ""),
        (
            "PG05",
            "translate host name",
            format!("echo \"listen_addresses='no.such.host.invalid'\" >>{dir}/postgresql.conf"),
            "",
        ),
        ("PG07", ".s.PGSQL", format!("echo \"unix_socket_directories='/nonexistent'\" >>{dir}/postgresql.conf"), ""),
        ("PG24", "certificate", format!("echo 'ssl=on' >>{dir}/postgresql.conf"), ""),
    ];
    for (id, words, make, undo) in troubles {
        sh(node, &make);
        try_to_start();
        // What came before it was up, if it was, is past.
        wait::until(&format!("the log tells of {id}"), || {
            node.text("data/pg.log").rsplit("ready to accept").next().is_some_and(|log| log.contains(words))
        });
        let run = diagnose().expect(5);
        let cause = run.json()["hosts"][0]["cause"].clone();
        assert_eq!(cause["id"], id, "{cause:#}\n{run}");
        let lines = cause["proof"]["lines"].to_string();
        assert!(lines.contains(words), "{id}: {words} is not in {lines}");
        node.write("data/pg/postgresql.conf", &conf);
        node.write("data/pg/pg_hba.conf", &hba);
        stopped();
        if !undo.is_empty() {
            sh(node, &undo.replace("{dir}", &dir));
        }
    }
    // What no row knows, and a server that came up after all of that.
    try_to_start();
    let run = diagnose().expect(0);
    assert!(run.json()["hosts"][0]["cause"].is_null(), "{run}");
}

/// Failures of a real standby that is up or comes up, and does not follow its primary.
#[test]
fn a_standby_that_does_not_follow_is_diagnosed() {
    let cluster = Cluster::start(2);
    let (one, two) = (cluster.lab.node(1), cluster.lab.node(2));
    let (bin, dir) = (&cluster.bin, data(two));
    let from = format!("-h {} -p {} -U rep", one.address().ip(), cluster.port());
    let copied = format!("{bin}/pg_basebackup -D {dir} {from} -R -c fast");
    let start = format!("{bin}/pg_ctl start -w -t 5 -D {dir} -l {dir}.log || true");
    let stop = format!("{bin}/pg_ctl stop -m fast -D {dir} || true; rm -f {dir}.log");
    let new_wal = "select pg_switch_wal(); create table u (x int); drop table u; checkpoint";
    // Each makes the trouble, on the primary and on the standby, which is down then, and what undoes it.
    let troubles: [(&str, &str, &[&str], String, &str); 6] = [
        ("PG43", "does not exist", &[], format!("echo \"primary_slot_name='gone'\" >>{dir}/postgresql.conf"), "gone"),
        (
            "PG32",
            "lower setting",
            &[],
            format!("echo 'max_connections = 5' >>{dir}/postgresql.conf"),
            "max_connections = 5",
        ),
        ("PG39", "no pg_hba.conf entry", &["hba"], String::new(), "hba"),
        (
            "PG40",
            "has already been removed",
            &["alter system set wal_keep_size = 0", "select pg_reload_conf()", new_wal, new_wal, new_wal],
            String::new(),
            "",
        ),
        // It became a primary, and is to follow the old one again.
        (
            "PG42",
            "is behind recovery timeline",
            &[],
            format!(
                "rm -rf {dir}; {copied}; {start}; {bin}/pg_ctl promote -w -D {dir}; {bin}/psql -XAtq -h {} -p {} -d postgres -c checkpoint; \
                 {bin}/pg_ctl stop -m fast -D {dir}; rm {dir}.log; touch {dir}/standby.signal",
                two.base().join("run").display(),
                cluster.port()
            ),
            "",
        ),
        (
            "PG41",
            "system identifier differs",
            &[],
            format!(
                "cp {dir}/postgresql.auto.conf {dir}.auto; cp {dir}/postgresql.conf {dir}.conf; rm -rf {dir}; \
                 {bin}/initdb -N -A trust -D {dir} >/dev/null; mv {dir}.auto {dir}/postgresql.auto.conf; \
                 mv {dir}.conf {dir}/postgresql.conf; echo max_connections=100 >>{dir}/postgresql.conf; touch {dir}/standby.signal"
            ),
            "",
        ),
    ];
    sh(two, &copied);
    let conf = two.text("data/pg/postgresql.conf");
    sh(two, &start);
    let diagnose = || cluster.on(two, &["diagnose", "--system", "postgres"]).arg("--json").arg("-").run();
    wait::until("it follows", || cluster.sql(one, "select count(*) from pg_stat_replication") == "1");
    let run = diagnose().expect(0);
    assert!(run.json()["hosts"][0]["cause"].is_null(), "{run}");
    for (id, words, on_primary, on_standby, undo) in troubles {
        sh(two, &stop);
        for sql in on_primary {
            if *sql == "hba" {
                cluster.admit(one, "");
            } else {
                sql.split("; ").for_each(|sql| drop(cluster.sql(one, sql)));
            }
        }
        sh(two, &on_standby);
        sh(two, &start);
        assert!(
            wait::within(Duration::from_secs(30), || two.text("data/pg.log").contains(words)),
            "{id}: {}",
            two.text("data/pg.log")
        );
        let run = diagnose().expect(5);
        let cause = run.json()["hosts"][0]["cause"].clone();
        assert_eq!(cause["id"], id, "{cause:#}\n{run}\n{}", two.text("data/pg.log"));
        let lines = cause["proof"]["lines"].to_string();
        assert!(lines.contains(words), "{id}: {words} is not in {lines}");
        match undo {
            "" => {}
            "hba" => cluster.admit(one, "scram-sha-256"),
            _ => two.write("data/pg/postgresql.conf", &conf),
        }
    }
}
