//! `gsctl start` on real nodes. What counts is what lies on their disks and runs on them; the report must agree.

use serde_json::Value;

use crate::gsctl::{Gsctl, Run};
use crate::lab::faults;
use crate::lab::opengauss::{self, Cluster, MARKER};
use crate::lab::{Lab, wait};

/// Left by a start while the cluster is paused.
const STARTING: &str = "app/bin/cluster_manual_starting";
const PAUSE: &str = "app/bin/cluster_manual_pause";
/// What a start brings up on every node.
const CHAIN: [&str; 4] = ["om_monitor", "cm_agent", "cm_server", "gaussdb"];

/// A run and its report.
#[derive(Debug)]
pub(crate) struct Reported {
    pub(crate) run: Run,
    pub(crate) report: Value,
}

/// Runs a command that writes a JSON report.
#[track_caller]
pub(crate) fn reported(lab: &Lab, gsctl: Gsctl, args: &[&str]) -> Reported {
    let path = lab.dir().join("client/report.json");
    let run = gsctl.args(args).arg("--json").arg(&path).run();
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("no report: {error}\n{run}"));
    let report = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("the report: {error}\n{run}"));
    Reported { run, report }
}

impl Reported {
    /// Asserts the exit status, and that the report says the same.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.run.status, status, "{}\n{:#}", self.run, self.report);
        assert_eq!(self.report["status"]["code"], status, "{}", self.run);
        self
    }

    /// What the report says of a host.
    pub(crate) fn host(&self, number: usize) -> &Value {
        &self.report["hosts"][number - 1]
    }

    /// Asserts a host's outcome and what its error and its hint contain.
    #[track_caller]
    pub(crate) fn host_is(&self, number: usize, outcome: &str, error: &str, hint: &str) -> &Self {
        let host = self.host(number);
        assert_eq!(host["outcome"], outcome, "{}\n{host:#}", self.run);
        for (key, wanted) in [("error", error), ("hint", hint)] {
            let said = host[key].as_str().unwrap_or_default();
            assert!(said.contains(wanted), "{key} of node{number}: `{wanted}` is not in `{said}`\n{}", self.run);
        }
        self
    }

    /// Asserts the outcome of every host.
    #[track_caller]
    pub(crate) fn all(&self, outcome: &str) -> &Self {
        let hosts = self.report["hosts"].as_array().map(Vec::len).unwrap_or_default();
        (1..=hosts).for_each(|number| {
            self.host_is(number, outcome, "", "");
        });
        self
    }

    /// Asserts that the terminal says this.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.run.stderr.contains(text) || self.run.text().contains(text), "no `{text}`\n{}", self.run);
        self
    }
}

/// Asserts that everything of a node runs, and nothing holds it down.
#[track_caller]
fn is_up(lab: &Lab, cluster: &Cluster<'_>, number: usize) {
    assert!(!lab.node(number).exists(MARKER), "{}", cluster.census());
    for program in CHAIN {
        assert!(!cluster.running(number, program).is_empty(), "no {program} on node{number}\n{}", cluster.census());
    }
}

/// Asserts that a node was left as [`opengauss::install`] made it.
#[track_caller]
fn is_untouched(lab: &Lab, cluster: &Cluster<'_>, number: usize) {
    assert_eq!(lab.node(number).text(MARKER), "0\n1\n2\n", "{}", cluster.census());
    assert!(cluster.running(number, "cm_agent").is_empty(), "{}", cluster.census());
}

fn start(lab: &Lab, args: &[&str]) -> Reported {
    reported(lab, lab.gsctl().arg("start"), args)
}

/// Every file below the directory of the programs, with what would change if it were written.
fn programs(lab: &Lab, number: usize) -> Vec<(String, std::time::SystemTime)> {
    let dir = lab.node(number).outside("app/bin");
    let entries = std::fs::read_dir(dir).expect("it is there");
    let mut files: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry))
        // What `cm_ctl check` writes is cm_ctl's business.
        .filter(|(name, _)| name != "result")
        .map(|(name, entry)| (name, entry.metadata().and_then(|file| file.modified()).expect("it is there")))
        .collect();
    files.sort();
    files
}

#[test]
fn a_stopped_cluster_comes_up_and_a_running_one_is_left_alone() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(2).write("app/bin/instance_manual_start_6002", "");
    cluster.fault(3, "slow", "1");

    let first = start(&lab, &["--wait", "30s"]).expect(0);
    first.all("changed");
    assert_eq!(first.report["schema"], "gsctl.run/1");
    assert_eq!(first.report["command"], "opengauss/start");
    assert_eq!(first.report["counts"]["changed"], 3);
    assert!(!lab.node(2).exists("app/bin/instance_manual_start_6002"));
    for number in 1..=3 {
        is_up(&lab, &cluster, number);
        let chain = first.host(number)["chain"].as_array().expect("a chain");
        let stages: Vec<_> = chain.iter().filter_map(|stage| stage["stage"].as_str()).collect();
        assert_eq!(stages, ["marker gone", "om_monitor", "cm_agent", "cm_server", "gaussdb"]);
        assert!(chain.iter().all(|stage| stage["up"] == true), "{chain:?}");
        // om_monitor ran before; the others came up under the eyes of this run, none before the one above it.
        let times: Vec<_> = chain.iter().map(|stage| stage["after_ms"].as_u64()).collect();
        assert_eq!(times[1], None, "{chain:?}");
        let times: Vec<_> = [0, 2, 3, 4].iter().map(|&stage| times[stage].expect("a time")).collect();
        assert!(times.is_sorted(), "{chain:?}");
        let changes = first.host(number)["steps"][1]["changes"].to_string();
        assert!(changes.contains("cluster_manual_start\"") && changes.contains("removed"), "{changes}");
        assert_eq!(first.host(number)["facts"]["cluster_state"].as_str(), (number == 1).then_some("Normal"));
    }

    let before: Vec<_> = (1..=3).map(|number| programs(&lab, number)).collect();
    let agents: Vec<_> = (1..=3).map(|number| cluster.running(number, "cm_agent")[0].pid).collect();
    let again = start(&lab, &["--wait", "30s"]).expect(0);
    again.all("ok");
    assert_eq!(again.report["counts"]["ok"], 3);
    assert_eq!(again.report["counts"]["changed"], 0);
    assert!(again.report["hosts"].as_array().expect("hosts").iter().all(|host| host["changed"] == false));
    assert_eq!(before, (1..=3).map(|number| programs(&lab, number)).collect::<Vec<_>>());
    assert_eq!(agents, (1..=3).map(|number| cluster.running(number, "cm_agent")[0].pid).collect::<Vec<_>>());
}

#[test]
fn what_holds_an_agent_back_is_named() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let agent = "app/bin/cm_agent";
    let config = "data/cm/cm_agent/cm_agent.conf";
    let text = lab.node(2).read(config);

    // One fault on each node at a time, so that three runs do for the lot.
    lab.node(1).chmod(agent, 0o644);
    lab.node(2).chmod(config, 0o000);
    lab.node(3).write("app/bin/cluster_dilatation_status", "");
    // No majority can come up: that is seen before anything is touched.
    let run = start(&lab, &["--wait", "20s"]).expect(7);
    run.host_is(1, "refused", "OG14", "--force").host_is(2, "refused", "OG13", "").host_is(3, "refused", "OG15", "");
    run.says("0 of 3 hosts can come up, and it takes 2").says("nothing was changed");
    assert_eq!(run.host(1)["cause"]["id"], "OG14", "{}", run.report);
    (1..=3).for_each(|number| is_untouched(&lab, &cluster, number));
    let run = start(&lab, &["--wait", "20s", "--force"]).expect(5);
    run.host_is(1, "failed", "app/bin/cm_agent is not executable", "chmod u+x");
    run.host_is(2, "failed", "cm_agent.conf is not readable", "mode 600");
    // The last words of om_monitor, in the report and on the terminal.
    let log = run.host(2)["stdout"].as_str().unwrap_or_default();
    assert!(log.contains("agent_config_file_r=0"), "{:#}", run.host(2));
    run.says("agent_config_file_r=0");
    run.host_is(3, "failed", "cluster_dilatation_status is there", "remove that file");
    run.says("agent_binary_file_x=0").says("config_change_flag=1");
    // They give up long before their time is over.
    assert!(run.report["elapsed_ms"].as_u64().is_some_and(|ms| ms < 19_000), "{}", run.report);
    for number in 1..=3 {
        assert!(cluster.running(number, "cm_agent").is_empty(), "{}", cluster.census());
        lab.node(number).write(MARKER, "0\n1\n2\n");
    }
    lab.node(1).chmod(agent, 0o755);
    lab.node(3).remove("app/bin/cluster_dilatation_status");

    lab.node(1).remove(agent);
    lab.node(2).remove(config);
    cluster.fault(3, "crash_loop", "1");
    let run = start(&lab, &["--wait", "30s", "--force"]).expect(5);
    run.host_is(1, "failed", "app/bin/cm_agent is missing", "install the Cluster Manager");
    run.host_is(2, "failed", "cm_agent.conf is missing", "is the disk mounted?");
    // Which of two truths is known first, so many ends or om_monitor's words about them, is up to the machine.
    let again = "cm_agent starts and dies, again and again";
    if run.host(3).to_string().contains(again) {
        run.host_is(3, "failed", again, "cm_agent-*-current.log");
    } else {
        run.host_is(3, "failed", "OG18 cm_agent ends before it has a log", "its words went to /dev/null");
    }
    run.says("cm_agent exited, status=");
    cluster.heal(3, "crash_loop");
    // om_monitor first: it would start an agent that did not end well again.
    (1..=3).for_each(|number| cluster.kill(number, "om_monitor"));
    cluster.stop();

    // Nobody starts om_monitor on node 1, cron would on node 2, and the limit keeps it from starting on node 3.
    lab.node(1).copy(&lab.node(2).outside(agent), agent);
    lab.node(2).write(config, text);
    lab.node(1).crontab("# om_monitor\n");
    cluster.fault(3, "nofile_min", "2000000000");
    lab.node(3).sh_as_user(&format!(
        ". {home}/.bashrc; om_monitor -L {base}/log/cm/om_monitor </dev/null >/dev/null 2>&1",
        home = lab.node(3).base().join("home").display(),
        base = lab.node(3).base().display()
    ));
    assert!(cluster.running(3, "om_monitor").is_empty());
    let run = start(&lab, &["--wait", "5s"]).expect(5);
    run.host_is(1, "failed", "om_monitor does not run, and no cron line would start it", "crontab -e");
    for number in [2, 3] {
        run.host_is(number, "failed", "first missing stage: om_monitor (none), for ", "raise nofile to ");
        assert_eq!(run.host(number)["facts"]["cron"], "yes");
    }
    run.says("max number of open files limit");
}

#[test]
fn an_om_monitor_that_cron_starts_late_is_waited_for() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    let mut running = lab.gsctl().args(["start", "--wait", "60s"]).spawn();
    running.wait_for_stderr("waiting for om_monitor");
    cluster.start_monitors();
    running.wait().expect(0);
    is_up(&lab, &cluster, 1);
}

#[test]
fn what_keeps_the_cluster_down_is_named() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();

    cluster.fault(2, "cm_server_never", "1");
    let run = start(&lab, &["--wait", "4s"]).expect(5);
    run.host_is(2, "failed", "first missing stage: cm_server (missing), for ", "a port in use");
    run.says("cm_server missing");
    assert!(cluster.running(2, "cm_server").is_empty());
    assert!(!cluster.running(2, "gaussdb").is_empty(), "{}", cluster.census());
    assert_eq!(run.host(2)["chain"][3]["up"], false);
    assert_eq!(run.host(2)["chain"][4]["up"], true);
    cluster.heal(2, "cm_server_never");
    start(&lab, &["--wait", "30s"]).expect(0);

    for number in 1..=3 {
        cluster.fault(number, "degraded", "1");
    }
    let run = start(&lab, &["--wait", "3s"]).expect(5);
    // Nobody's failure but the cluster's.
    run.all("ok").says("cluster_state is Degraded after 3s, wanted Normal").says("cm_ctl query -Cvipd");
    assert_eq!(run.report["cluster"]["state"], "Degraded", "{:#}", run.report);
    start(&lab, &["--wait", "3s", "--accept", "degraded"]).expect(0).all("ok");
}

#[test]
fn no_waiting_for_what_nobody_wants_to_wait_for() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    // Without om_monitor nothing would ever come up.
    let run = start(&lab, &["--wait", "0"]).expect(0);
    run.all("changed");
    assert!(!lab.node(1).exists(MARKER));
    assert!(cluster.running(1, "cm_agent").is_empty());
}

#[test]
fn a_state_in_which_it_is_wrong_to_go_on_is_refused() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    start(&lab, &["--wait", "30s"]).expect(0);
    cluster.fault(2, "stopping_forever", "1");
    for node in lab.nodes() {
        node.write(MARKER, "0\n1\n2\n");
    }
    for number in [1, 3] {
        wait::until("it is down", || cluster.running(number, "cm_agent").is_empty());
    }
    let bin = lab.node(3).outside("app/bin");
    let away = lab.node(3).outside("app/away");
    std::fs::rename(&bin, &away).expect("both are ours");

    let run = start(&lab, &["--wait", "10s"]).expect(7);
    run.host_is(1, "skipped", "", "");
    run.host_is(2, "refused", "the node is still stopping", "gsctl stop --mode immediate");
    run.host_is(3, "refused", "there is no openGauss under", "set gausshome=DIRECTORY");
    run.says("HOST").says("stopping").says("not-installed").says("nothing was changed");
    for number in [1, 2] {
        assert_eq!(lab.node(number).text(MARKER), "0\n1\n2\n", "{}", cluster.census());
    }
    assert!(!bin.exists());
    std::fs::rename(&away, &bin).expect("both are ours");

    // Told to, it goes on.
    let run = start(&lab, &["--wait", "0", "--force"]).expect(0);
    run.all("changed");
    assert!((1..=3).all(|number| !lab.node(number).exists(MARKER)));
}

#[test]
fn a_paused_cluster_is_told_that_it_starts() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(1).write(PAUSE, "");
    lab.node(2).write(PAUSE, "");
    // Somebody else's, which is not ours to remove.
    lab.node(2).write(STARTING, "theirs");
    cluster.fault(1, "slow", "2");
    let mut running = lab.gsctl().args(["start", "--wait", "6s"]).spawn();
    running.wait_for_stderr("cluster_manual_starting");
    wait::until("the file is there", || lab.node(1).exists(STARTING));
    let run = running.wait();
    assert!(!lab.node(1).exists(STARTING), "{run}");
    assert_eq!(lab.node(2).text(STARTING), "theirs", "{run}");
    assert!(!lab.node(3).exists(STARTING), "{run}");
    // A paused cluster promotes nobody: the nodes are up, the cluster is not.
    assert_eq!(run.status, 5, "{run}");
    assert!(run.stderr.contains("cluster_state is Unavailable") && run.stderr.contains("opengauss/resume"), "{run}");
    (1..=3).for_each(|number| is_up(&lab, &cluster, number));

    lab.gsctl().args(["play", "opengauss/resume"]).run().expect(0);
    start(&lab, &["--wait", "30s"]).expect(0).all("ok");
}

#[test]
fn what_could_not_be_cleaned_up_is_told() {
    let lab = Lab::start(2);
    opengauss::install(&lab);
    lab.node(2).write(PAUSE, "");
    let mut running = lab.gsctl().args(["start", "--wait", "5s", "--connect-attempts", "1"]).spawn();
    running.wait_for_stderr("node2  waiting for om_monitor");
    wait::until("the file is there", || lab.node(2).exists(STARTING));
    lab.node(2).stop_sshd();
    lab.node(2).kill_sessions();
    let run = running.wait().expect(4);
    let summary = run.stderr.rsplit("Summary").next().unwrap_or_default();
    assert!(summary.contains("UNREACHABLE node2  step `wait for every node`"), "{run}");
    assert!(summary.contains("cluster_manual_starting` was left behind"), "{run}");
}

#[test]
fn what_a_profile_prints_reads_or_waits_for_does_not_matter() {
    let lab = Lab::builder().nodes(2).sshd_config("Banner /etc/profile\n").shell("/bin/bash").start();
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let bashrc = lab.node(1).text("home/.bashrc");
    lab.node(1).write(
        "home/.bashrc",
        format!("echo SUCCESS; echo marker=absent; echo state=running >&2; cluster_state=Normal\n{bashrc}\ncat\n"),
    );
    // What reads its terminal, and what hangs.
    lab.node(2).write("home/.profile", "echo SUCCESS\n");
    lab.node(2).write("home/.bashrc", format!("{bashrc}\n[ -z \"$GSCTL_COMMANDS\" ] || sleep 1000\n"));
    let run = start(&lab, &["--wait", "40s"]).expect(0);
    run.all("changed");
    (1..=2).for_each(|number| is_up(&lab, &cluster, number));
    assert_eq!(run.host(1)["facts"]["profile"], "ok", "{:#}", run.host(1));
    assert_eq!(run.host(2)["facts"]["profile"], "broken", "{:#}", run.host(2));
    for number in 1..=2 {
        let left = lab.node(number).processes();
        assert!(!left.iter().any(|process| process.comm == "sleep"), "{left:?}");
    }
}

#[test]
fn a_login_shell_that_never_begins_is_bounded() {
    let lab = Lab::builder().nodes(2).shell("/bin/bash").start();
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(2).write("home/.bashrc", "sleep 1000\n");
    let run = start(&lab, &["--wait", "5s", "-t", "2s"]).expect(7);
    run.host_is(2, "timed_out", "whether it was run is not known", "profile");
    is_untouched(&lab, &cluster, 1);
}

#[test]
fn a_node_that_is_gone() {
    let lab = Lab::start(3);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(3).halt();
    let impatient = ["--wait", "30s", "--connect-attempts", "1", "--connect-timeout", "2s"];

    let run = start(&lab, &impatient).expect(7);
    run.host_is(3, "unreachable", "refused", "").host_is(1, "skipped", "", "").host_is(2, "skipped", "", "");
    run.says("node3").says("nothing was changed");
    (1..=2).for_each(|number| is_untouched(&lab, &cluster, number));

    // All but one is no minority, and one is not enough for two.
    let run = start(&lab, &[&impatient[..], &["--allow-unreachable", "minority", "-w", "node2,node3"]].concat());
    run.expect(7);
    is_untouched(&lab, &cluster, 2);

    // The cluster can't get better than Degraded, which is accepted then.
    let run = start(&lab, &[&impatient[..], &["--allow-unreachable", "minority"]].concat()).expect(4);
    run.host_is(1, "changed", "", "").host_is(2, "changed", "", "").host_is(3, "unreachable", "refused", "");
    assert_eq!(run.host(1)["facts"]["cluster_state"], "Degraded");
    let summary = run.run.stderr.rsplit("Summary").next().unwrap_or_default();
    assert!(summary.contains("node3") && summary.contains("1 unreachable"), "{}", run.run);
    (1..=2).for_each(|number| is_up(&lab, &cluster, number));

    start(&lab, &[&impatient[..], &["--allow-unreachable", "1"]].concat()).expect(4).host_is(1, "ok", "", "");
    start(&lab, &[&impatient[..], &["--force"]].concat()).expect(4).host_is(2, "ok", "", "");
    start(&lab, &[&impatient[..], &["--allow-unreachable", "0"]].concat()).expect(7);
}

#[test]
fn a_node_that_does_not_speak_does_not_hold_up_the_look_at_the_others() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    let mute = faults::mute_port();
    let hosts = lab.hosts_file_with(&lab.hosts_line("mute", mute.address()));
    let gsctl = lab.gsctl().hosts_file(&hosts).arg("start");
    let run = reported(&lab, gsctl, &["--connect-timeout", "2s", "--connect-attempts", "2"]).expect(7);
    run.host_is(3, "unreachable", "", "");
    assert_eq!(run.host(3)["attempts"], 2);
    run.says("mute");
    (1..=2).for_each(|number| is_untouched(&lab, &cluster, number));
}

#[test]
fn a_marker_that_may_not_be_removed() {
    let lab = Lab::start(2);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    lab.node(2).chmod("app/bin", 0o500);
    let run = start(&lab, &["--wait", "5s"]);
    lab.node(2).chmod("app/bin", 0o755);
    let run = run.expect(5);
    run.host_is(2, "failed", "denied: ", "may the login user change this directory?");
    let steps = run.host(2)["steps"].to_string();
    assert!(steps.contains("\"denied\""), "{steps}");
    is_untouched(&lab, &cluster, 2);
    assert!(!lab.node(1).exists(MARKER));
    assert_eq!(run.host(1)["changed"], true);
}

#[test]
fn a_cluster_that_takes_its_time() {
    let lab = Lab::start(1);
    let cluster = opengauss::install(&lab);
    cluster.start_monitors();
    cluster.fault(1, "slow", "2");
    // Nor does it matter that cm_ctl can't tell what belongs on the node.
    cluster.fault(1, "view", "0");
    let run = start(&lab, &["--wait", "60s"]).expect(0);
    assert_eq!(run.host(1)["facts"]["expect_gaussdb"], "unknown");
    let after = |stage: usize| run.host(1)["chain"][stage]["after_ms"].as_u64().unwrap_or_default();
    assert!(after(2) >= 1000 && after(4) > after(2), "{:#}", run.host(1));
    is_up(&lab, &cluster, 1);
}
