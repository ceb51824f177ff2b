//! The numbers that are no comparison: round trips, what is held open, how much output and how many events a second.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use gsctl::testing::{
    Afterwards, CommandKind, EndTable, Event, EventKind, Mode, Opening, Outcome, OutputFilter, OutputInputs,
    OutputSettings, Phase, ReportTarget, ReporterSetup, Reporters, Reserved, RunStats, StepResult, Stream, When,
};

use super::measure::{Cost, Job, Size, cost, cost_and_size, say, size};
use super::site::{self, Files, Site, beside};
use super::tool::{Tool, gsctl_options};
use super::{SAME, median};

/// The latency that round trips are counted with.
const FAR: Duration = Duration::from_millis(100);

/// All of them, as far as they were asked for.
#[derive(Default)]
pub(crate) struct Extras {
    /// 1,000 hosts at once without latency, the same at 50 ms, one host at 50 ms.
    pub(crate) hidden: Option<[Duration; 3]>,
    /// Hosts, memory, and connections at once.
    pub(crate) held: Option<(usize, Size, u64)>,
    /// A tenth of a large fleet, and all of it.
    pub(crate) large: Option<[(usize, Cost, Size); 2]>,
    pub(crate) wait: Option<Wait>,
    /// One host by gsctl, and by ssh at its fastest.
    pub(crate) one: Option<[Cost; 2]>,
    /// What was done on one host, and its round trips.
    pub(crate) trips: Vec<(&'static str, f64)>,
    /// The look of `status` at an openGauss node, and that of `start`.
    pub(crate) looks: Option<[Cost; 2]>,
    /// Hosts, and what a further line at the prompts of gsctl and clush costs.
    pub(crate) prompts: Option<(usize, [Cost; 2])>,
    /// What `known_hosts` held besides the hosts, and what the run cost.
    pub(crate) known: Vec<(&'static str, Cost)>,
    /// How 1 GB of output was shown, its bytes, and what that cost.
    pub(crate) output: Vec<(&'static str, f64, Cost, Size)>,
    /// A reporter, and the events that it takes in a second.
    pub(crate) events: Vec<(&'static str, f64)>,
}

fn gsctl(site: &Site, files: &Files, fanout: usize) -> io::Result<Job> {
    Ok(Tool::Gsctl.job(beside("gsctl")?, site, files, fanout, None))
}

/// gsctl with other words than `exec true`.
fn asked(site: &Site, files: &Files, fanout: usize, words: &[String]) -> io::Result<Job> {
    let mut args = gsctl_options(site, files, fanout, None);
    args.extend_from_slice(words);
    let args = args.into_iter().map(Into::into).collect();
    Ok(Job { program: beside("gsctl")?, args, dir: files.dir().to_owned(), ..Job::default() })
}

/// `true` on the first host, by ssh.
fn ssh(site: &Site, files: &Files) -> Job {
    let config = files.at("config").display().to_string();
    let args = ["-F", &config, &site.first(), "true"].map(Into::into).to_vec();
    Job { program: "ssh".into(), args, dir: files.dir().to_owned(), ..Job::default() }
}

/// Wall times of all hosts at once without latency, with 50 ms, and of one host with 50 ms.
pub(crate) fn hidden(hosts: usize, rounds: usize) -> io::Result<[Duration; 3]> {
    let near = Site::fleet(hosts, "")?;
    let far = Site::fleet(hosts, "all latency=50ms")?;
    let (all, all_far, one) = (near.files(hosts, None)?, far.files(hosts, None)?, far.files(1, None)?);
    let jobs = [gsctl(&near, &all, hosts)?, gsctl(&far, &all_far, hosts)?, gsctl(&far, &one, 1)?];
    let mut times = [const { Vec::new() }; 3];
    for round in 1..=rounds {
        for (job, times) in jobs.iter().zip(&mut times) {
            let cost = cost(job, 1)?;
            say(&format!("latency is hidden, round {round}: {:.3?}", cost.wall));
            times.push(cost);
        }
    }
    Ok(times.map(|costs| median(&costs).wall))
}

/// Memory and connections with a command under way on all hosts.
pub(crate) fn held(hosts: usize) -> io::Result<(usize, Size, u64)> {
    // Three for each login, and all log in at once.
    let room = site::descriptors(hosts as u64 * 3 + 1_000).saturating_sub(1_000) / 3;
    let hosts = hosts.min(usize::try_from(room).unwrap_or(usize::MAX));
    say(&format!("held open: {hosts} hosts"));
    let mut fleet = Site::fleet(hosts, &format!("all barrier={hosts}"))?;
    let files = fleet.files(hosts, None)?;
    let most = size(&gsctl(&fleet, &files, hosts)?)?;
    Ok((hosts, most, fleet.number("most_connections")?))
}

/// All of a large fleet, and of a tenth of it.
pub(crate) fn large(hosts: usize) -> io::Result<[(usize, Cost, Size); 2]> {
    let fleet = Site::fleet(hosts, "")?;
    let measured = |hosts: usize| {
        let files = fleet.files(hosts, None)?;
        let (cost, size) = cost_and_size(&gsctl(&fleet, &files, 256)?, 1)?;
        say(&format!("large: {hosts} hosts: {:.3?} CPU, {:.3?}, {} bytes", cost.cpu, cost.wall, size.bytes));
        Ok::<_, io::Error>((hosts, cost, size))
    };
    Ok([measured(hosts / 10)?, measured(hosts)?])
}

/// A wait of a minute that ends in vain.
pub(crate) struct Wait {
    pub(crate) hosts: usize,
    /// How long, and how often each host is to be looked at.
    pub(crate) time: Duration,
    pub(crate) every: Duration,
    pub(crate) cost: Cost,
    /// Looks that the nodes answered, and the longest time between two at one node.
    pub(crate) looks: u64,
    pub(crate) longest: Duration,
}

/// A playbook that waits for hosts which never come up.
pub(crate) fn wait(hosts: usize, time: Duration) -> io::Result<Wait> {
    let every = Duration::from_secs(1);
    let mut fleet = Site::fleet(hosts, "")?;
    let files = fleet.files(hosts, None)?;
    std::fs::write(files.at("probe.sh"), "echo state=waiting\n")?;
    let play = format!(
        "name: wait\nprobes:\n  node: {{ script: probe.sh }}\nsteps:\n  - name: come up\n    wait: {{ probe: node, until: {{ \
         fact: state, is: up }}, every: {}s, timeout: {}s }}\n",
        every.as_secs(),
        time.as_secs()
    );
    std::fs::write(files.at("wait.yaml"), play)?;
    let words = ["-q".to_owned(), "play".to_owned(), files.at("wait.yaml").display().to_string()];
    let job = Job { status: 5, ..asked(&fleet, &files, 256, &words)? };
    let cost = cost(&job, 1)?;
    let (looks, longest) = (fleet.number("looks")?, Duration::from_millis(fleet.number("longest_pause_ms")?));
    say(&format!("wait of {hosts} hosts: {:.3?} CPU, {:.3?}, {looks} looks, {longest:?}", cost.cpu, cost.wall));
    Ok(Wait { hosts, time, every, cost, looks, longest })
}

/// One host on a real sshd by gsctl and by ssh, in turn; of ssh what was fastest, whichever key exchange that took.
pub(crate) fn beside_ssh(site: &Site, rounds: usize) -> io::Result<[Cost; 2]> {
    let files = site.files(1, None)?;
    let same = site.files(1, Some(SAME))?;
    let own = gsctl(site, &files, 1)?;
    let (mut gsctl, mut fastest) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        gsctl.push(cost(&own, 5)?);
        fastest.push(cost(&ssh(site, &files), 5)?);
        fastest.push(cost(&ssh(site, &same), 5)?);
    }
    let least = |of: fn(&Cost) -> Duration| fastest.iter().map(of).min().unwrap_or_default();
    let fastest = Cost { cpu: least(|cost| cost.cpu), wall: least(|cost| cost.wall) };
    let gsctl = median(&gsctl);
    say(&format!("one host: {:.3?} CPU, {:.3?}; ssh {:.3?}, {:.3?}", gsctl.cpu, gsctl.wall, fastest.cpu, fastest.wall));
    Ok([gsctl, fastest])
}

/// By how much a latency makes it slower, in latencies.
pub(crate) fn trips(rounds: usize) -> io::Result<Vec<(&'static str, f64)>> {
    let near = Site::fleet(1, "")?;
    let far = Site::fleet(1, &format!("all latency={}ms", FAR.as_millis()))?;
    let seconds = |job: &dyn Fn(&Site, &Files) -> io::Result<Job>, site: &Site| {
        let files = site.files(1, Some(SAME))?;
        let job = job(site, &files)?;
        let costs = (0..rounds).map(|_| cost(&job, 3)).collect::<io::Result<Vec<Cost>>>()?;
        Ok::<f64, io::Error>(median(&costs).wall.as_secs_f64())
    };
    let counted = |what: &'static str, job: &dyn Fn(&Site, &Files) -> io::Result<Job>| {
        let trips = (seconds(job, &far)? - seconds(job, &near)?) / FAR.as_secs_f64();
        say(&format!("round trips, {what}: {trips:.1}"));
        Ok::<_, io::Error>((what, trips))
    };
    let play = |name: &'static str| {
        move |site: &Site, files: &Files| {
            asked(site, files, 1, &["play".to_owned(), files.at(name).display().to_string()])
        }
    };
    let bare = |site: &Site, files: &Files| Ok(Tool::Bare.job(beside("bare")?, site, files, 1, None));
    let one = counted("gsctl, a playbook of one step", &play("one.yaml"))?;
    let five = counted("gsctl, a playbook of five steps", &play("five.yaml"))?;
    Ok(vec![
        counted("gsctl, login and `true`", &|site, files| gsctl(site, files, 1))?,
        counted("bare loop, login and `true`", &bare)?,
        counted("ssh, login and `true`", &|site, files| Ok(ssh(site, files)))?,
        one,
        five,
        ("gsctl, each further step", (five.1 - one.1) / 4.0),
    ])
}

/// Lines typed at a prompt, the second time.
const LINES: u32 = 21;

/// What a further line costs at the prompt of `gsctl shell`, that of many less that of one; and a run of clush, which logs in for
/// each line at its own prompt too. (Typed at by a program, that prompt does not always come back.)
pub(crate) fn prompts(site: &Site, hosts: usize, rounds: usize) -> io::Result<Option<(usize, [Cost; 2])>> {
    let Some(clush) = Tool::Clush.program() else { return Ok(None) };
    let files = site.files(hosts, None)?;
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompt.py");
    let program = beside("gsctl")?;
    let typed = |lines: u32| {
        let words = [driver.display().to_string(), format!("{hosts} hosts> "), lines.to_string()];
        let args = words.into_iter().map(Into::into).chain([program.clone().into()]);
        let options = gsctl_options(site, &files, hosts, None).into_iter().map(Into::into);
        let args = args.chain(options).chain(["shell".into()]).collect();
        let env = vec![("TERM", "xterm".into())];
        Job { program: "python3".into(), args, env, dir: files.dir().to_owned(), ..Job::default() }
    };
    let costs = |job: &Job| {
        let costs = (0..rounds).map(|_| cost(job, 1)).collect::<io::Result<Vec<Cost>>>()?;
        Ok::<Cost, io::Error>(median(&costs))
    };
    let (one, many) = (costs(&typed(1))?, costs(&typed(LINES))?);
    let share = |one: Duration, many: Duration| many.saturating_sub(one) / (LINES - 1);
    let line = Cost { cpu: share(one.cpu, many.cpu), wall: share(one.wall, many.wall) };
    let other = costs(&Tool::Clush.job(clush, site, &files, hosts, None))?;
    say(&format!(
        "a line at the prompt: {:.3?} CPU, {:.3?}; clush {:.3?}, {:.3?}",
        line.cpu, line.wall, other.cpu, other.wall
    ));
    Ok(Some((hosts, [line, other])))
}

/// The same run with more and more lines in `known_hosts`.
pub(crate) fn known(hosts: usize, rounds: usize) -> io::Result<Vec<(&'static str, Cost)>> {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI";
    let fleet = Site::fleet(hosts, "")?;
    let files = fleet.files(hosts, None)?;
    let own = std::fs::read_to_string(&fleet.known_hosts)?;
    let mut random = fastrand::Rng::with_seed(50_000);
    let mut word = |len: usize| -> String { (0..len).map(|_| random.alphanumeric()).collect() };
    // A key is 32 bytes after its type; a hashed name is a salt and a digest of 20 bytes each.
    let (mut plain, mut hashed) = (String::new(), String::new());
    for number in 0..50_000 {
        let _ = writeln!(plain, "other{number} {KEY}{}", word(43));
        let _ = writeln!(hashed, "|1|{}A=|{}A= {KEY}{}", word(26), word(26), word(43));
    }
    let mut rows = Vec::new();
    for (what, more) in [("nothing", &String::new()), ("50,000 other names", &plain), ("50,000 hashed names", &hashed)]
    {
        std::fs::write(&fleet.known_hosts, format!("{more}{own}"))?;
        let job = gsctl(&fleet, &files, 128)?;
        let costs = (0..rounds).map(|_| cost(&job, 1)).collect::<io::Result<Vec<Cost>>>()?;
        let cost = median(&costs);
        say(&format!("known_hosts with {what} more: {:.3?} CPU, {:.3?}", cost.cpu, cost.wall));
        rows.push((what, cost));
    }
    Ok(rows)
}

/// The loop that reads output and drops it.
pub(crate) const BARE: &str = "read and dropped by the bare loop";

/// 1 GB of output from 100 hosts, shown in each way.
pub(crate) fn output(scale: f64, rounds: usize) -> io::Result<Vec<(&'static str, f64, Cost, Size)>> {
    let (hosts, each) = (100_usize, 1e7 * scale);
    let fleet = Site::fleet(hosts, &format!("all output={each:.0}"))?;
    let files = fleet.files(hosts, None)?;
    let ways: [(&str, &[&str]); 3] = [
        ("gathered", &["exec", "--gather", "true"]),
        ("streamed", &["exec", "--stream", "true"]),
        ("as JSON", &["--json", "-", "exec", "true"]),
    ];
    let mut jobs = vec![(BARE, Tool::Bare.job(beside("bare")?, &fleet, &files, 32, None))];
    for (way, words) in ways {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        jobs.push((way, asked(&fleet, &files, 32, &words)?));
    }
    let mut costs = vec![Vec::new(); jobs.len()];
    for _ in 0..rounds {
        for ((way, job), costs) in jobs.iter().zip(&mut costs) {
            let (cost, size) = cost_and_size(job, 1)?;
            say(&format!("output, {way}: {:.3?} CPU, {:.3?}, {} bytes", cost.cpu, cost.wall, size.bytes));
            costs.push((cost, size));
        }
    }
    let row = |((way, _), costs): (&(&'static str, Job), Vec<(Cost, Size)>)| {
        let size = costs.iter().map(|(_, size)| *size).max_by_key(|size| size.bytes).unwrap_or_default();
        let costs: Vec<Cost> = costs.into_iter().map(|(cost, _)| cost).collect();
        (*way, each * 100.0, median(&costs), size)
    };
    Ok(jobs.iter().zip(costs).map(row).collect())
}

/// Events that each reporter takes in a second: those of hosts that log in and print four lines.
pub(crate) fn events(hosts: usize) -> Vec<(&'static str, f64)> {
    let ways = ["lines in a pipe", "live view", "--stream", "--json", "--jsonl", "--junit", "--html"];
    ways.map(|way| {
        let rate = rate(way, hosts);
        say(&format!("events, {way}: {rate:.0} a second"));
        (way, rate)
    })
    .to_vec()
}

fn rate(way: &str, hosts: usize) -> f64 {
    let sink = || Some(ReportTarget::File(way.to_owned(), Box::new(io::sink())));
    let only = |name: &str| (way == name).then(sink).flatten();
    let live = way == "live view";
    let settings = OutputSettings::resolve(&OutputInputs {
        stdout_tty: false,
        stderr_tty: live,
        ci: false,
        term_dumb: false,
        no_color: false,
        utf8: true,
        columns: live.then_some(80),
        rows: live.then_some(24),
        color: When::Auto,
        progress: When::Auto,
        quiet: false,
        verbose: 0,
        mode: Some(if way == "--stream" { Mode::Stream } else { Mode::Gather }),
        hosts,
        one_plain_name: false,
        no_prefix: false,
        command: CommandKind::Output,
    });
    let mut reporters = Reporters::new(ReporterSetup {
        settings,
        names: (1..=hosts).map(|number| format!("node{number}")).collect(),
        steps: vec!["true".to_owned()],
        filter: OutputFilter::default(),
        end_table: EndTable::Chains,
        opening: Opening::default(),
        afterwards: Afterwards::default(),
        stdout: Box::new(io::sink()),
        stderr: Box::new(io::sink()),
        json: only("--json"),
        jsonl: only("--jsonl"),
        junit: only("--junit"),
        html: only("--html"),
        output_dir: None,
        more: Vec::new(),
    });
    let stats = RunStats { hosts, ..RunStats::default() };
    let events: Vec<EventKind> = std::iter::once(EventKind::RunStarted { steps: vec!["true".to_owned()], fanout: 128 })
        .chain((0..hosts).flat_map(told_of))
        .chain([EventKind::RunFinished])
        .collect();
    let (count, start) = (events.len(), Instant::now());
    let mut ticked = start;
    for kind in events {
        reporters.event(&Event { at: start.elapsed(), kind }, &stats);
        if ticked.elapsed() >= Duration::from_millis(100) {
            ticked = Instant::now();
            reporters.tick(start.elapsed());
        }
    }
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / start.elapsed().as_secs_f64()
}

/// All that is told of one host.
fn told_of(host: usize) -> Vec<EventKind> {
    let phases = [Phase::Resolve, Phase::Connect, Phase::HostKey, Phase::Auth];
    let took = Duration::from_millis(80);
    let line = |n: usize| format!("line {n} of host {host}\n").into_bytes();
    let mut events = vec![EventKind::HostStarted { host }];
    events.extend(phases.map(|phase| EventKind::PhaseStarted { host, phase }));
    let (address, banner) = ("10.0.0.1:22".to_owned(), "OpenSSH_9.2p1".to_owned());
    events.push(EventKind::Connected { host, address, took, banner });
    events.push(EventKind::HostStepStarted { host, step: 0 });
    events.extend((0..4).map(|n| EventKind::Output {
        host,
        step: 0,
        stream: Stream::Stdout,
        bytes: line(n),
        reserved: Reserved::default(),
    }));
    let result = StepResult { exit_status: Some(0), elapsed: took, ..StepResult::new(Outcome::Ok) };
    events.push(EventKind::HostStepFinished { host, step: 0, result });
    events.push(EventKind::HostFinished { host, outcome: Outcome::Ok, failure: None, elapsed: took });
    events
}
