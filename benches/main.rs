//! `make bench`: gsctl beside its peers, on the same hosts, in turn. Writes `docs/benchmarks.md`.
//!
//!     bench [--rounds N] [--scale F] [--only WORD] [--out FILE]
//!
//! `--scale 0.1` takes a tenth of the hosts, to try it out; `--only` takes the measurements whose title holds a word.

mod extras;
mod measure;
mod page;
mod site;
mod tool;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use extras::Extras;
use measure::{Cost, Job, Size, cost, say, size};
use site::Site;
use tool::{Tool, gsctl_options};

/// The one key exchange that all have, where it is to be the same for all.
const SAME: &str = "curve25519-sha256";
/// More hosts than this take a tool that starts a process for each too long.
const FORKS: usize = 2_000;

/// What is asked for.
struct Wishes {
    rounds: usize,
    scale: f64,
    only: String,
    out: PathBuf,
}

/// Hosts, and how they are worked on.
#[derive(Debug, Clone)]
struct Case {
    title: String,
    hosts: usize,
    fanout: usize,
    /// In a row, so that what is short can be measured.
    times: u32,
    kex: Option<&'static str>,
    tools: Vec<Tool>,
}

impl Case {
    /// No business of a tool that starts a process for each host.
    fn is_long(&self) -> bool {
        self.hosts > FORKS || self.title.ends_with("50 ms")
    }
}

/// What became of a tool in a case.
enum Row {
    Measured { cost: Cost, size: Size },
    Failed(String),
    Missing,
    LeftOut(&'static str),
}

/// A case that was measured.
struct Result {
    case: Case,
    rows: Vec<(String, Row)>,
}

fn main() -> ExitCode {
    let wishes = match wishes(std::env::args().skip(1)) {
        Ok(wishes) => wishes,
        Err(said) => {
            let _ = writeln!(io::stderr(), "bench: {said}");
            return ExitCode::from(2);
        }
    };
    match run(&wishes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wishes(mut words: impl Iterator<Item = String>) -> std::result::Result<Wishes, String> {
    let out = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/benchmarks.md"));
    let mut wishes = Wishes { rounds: 3, scale: 1.0, only: String::new(), out };
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{option}` needs a value"))?;
        let bad = || format!("`{value}` is no value of {option}");
        match option.as_str() {
            "--rounds" => wishes.rounds = value.parse().map_err(|_| bad())?,
            "--scale" => wishes.scale = value.parse().map_err(|_| bad())?,
            "--only" => wishes.only = value,
            "--out" => wishes.out = PathBuf::from(value),
            _ => return Err(format!("`{option}` is not an option")),
        }
    }
    Ok(wishes)
}

fn run(wishes: &Wishes) -> io::Result<()> {
    let scaled = |hosts: u32| (f64::from(hosts) * wishes.scale).round().max(1.0);
    let scaled = |hosts| if hosts == 1 { 1 } else { page::whole(scaled(hosts)) };
    let wanted = |title: &str| title.contains(&wishes.only);
    let mut results = Vec::new();
    let mut extras = Extras::default();

    let real = Site::sshd(scaled(250))?;
    for (hosts, times) in [(1, 10), (32, 3), (250, 1)] {
        for kex in [None, Some(SAME)] {
            let with = kex.map_or("each tool's own key exchange".to_owned(), str::to_owned);
            let hosts = scaled(hosts);
            let title = format!("real sshd, {hosts} host{}, {with}", if hosts == 1 { "" } else { "s" });
            let tools = Tool::ALL.into_iter().filter(|tool| kex.is_none() || tool.chooses_kex()).collect();
            let case = Case { title, hosts, fanout: 32, times, kex, tools };
            if wanted(&case.title) {
                results.push(compare(case, &real, wishes.rounds)?);
            }
        }
    }
    let title = format!("real sshd, {} hosts, five steps", scaled(250));
    if wanted(&title) {
        results.push(five_steps(title, &real, scaled(250), wishes.rounds)?);
    }
    drop(real);

    for (hosts, fanout) in [(1_000, 128), (10_000, 256)] {
        for latency in [0, 50] {
            let hosts = scaled(hosts);
            let title = format!("simulated fleet, {hosts} hosts, {latency} ms");
            if wanted(&title) {
                let fleet = Site::fleet(hosts, &format!("all latency={latency}ms"))?;
                let case = Case { title, hosts, fanout, times: 1, kex: None, tools: Tool::ALL.to_vec() };
                results.push(compare(case, &fleet, wishes.rounds)?);
            }
        }
    }
    if wanted("latency is hidden") {
        extras.hidden = Some(extras::hidden(scaled(1_000), wishes.rounds)?);
    }
    if wanted("held open") {
        extras.held = Some(extras::held(scaled(10_000))?);
    }
    if wanted("round trips") {
        extras.trips = extras::trips(wishes.rounds)?;
    }
    if wanted("known_hosts") {
        extras.known = extras::known(scaled(1_000), wishes.rounds)?;
    }
    if wanted("large output") {
        extras.output = extras::output(wishes.scale, wishes.rounds)?;
    }
    if wanted("events") {
        extras.events = extras::events(scaled(20_000));
    }
    std::fs::write(&wishes.out, page::page(&results, &extras, wishes.rounds))?;
    say(&format!("wrote {}", wishes.out.display()));
    Ok(())
}

/// All tools in turn, several rounds.
fn compare(case: Case, site: &Site, rounds: usize) -> io::Result<Result> {
    let files = site.files(case.hosts, case.kex)?;
    let mut jobs: Vec<(Tool, std::result::Result<Job, Row>)> = Vec::new();
    for &tool in &case.tools {
        let job = match tool.program() {
            None => Err(Row::Missing),
            Some(_) if tool.forks() && case.is_long() => Err(Row::LeftOut("a process for each host takes minutes")),
            Some(program) => Ok(tool.job(program, site, &files, case.fanout, case.kex)),
        };
        jobs.push((tool, job));
    }
    // What takes a second is repeated: whoever else is on the machine shows more in it than in what takes a minute.
    let times = |tool: Tool| if tool.forks() || case.hosts > FORKS { case.times } else { case.times.max(3) };
    let jobs =
        jobs.into_iter().map(|(tool, job)| (tool.name().to_owned(), job.map(|job| (job, times(tool))))).collect();
    Ok(measured(case, jobs, rounds))
}

/// Five steps over one connection a host, and what five runs take.
fn five_steps(title: String, site: &Site, hosts: usize, rounds: usize) -> io::Result<Result> {
    let files = site.files(hosts, None)?;
    let mut args: Vec<OsString> = gsctl_options(site, &files, 32, None).into_iter().map(OsString::from).collect();
    args.extend(["play".into(), files.at("five.yaml").into_os_string()]);
    let once = Job { program: site::beside("gsctl")?, args, dir: files.dir().to_owned(), ..Job::default() };
    let pssh = match Tool::Pssh.program() {
        Some(program) => Ok((Tool::Pssh.job(program, site, &files, 32, None), 1)),
        None => Err(Row::Missing),
    };
    let tools = vec![Tool::Gsctl, Tool::Pssh];
    let case = Case { title, hosts, fanout: 32, times: 1, kex: None, tools };
    let jobs = vec![("gsctl".to_owned(), Ok((once, 1))), ("pssh, five runs".to_owned(), pssh)];
    let mut result = measured(case, jobs, rounds);
    for (name, row) in &mut result.rows {
        if let (true, Row::Measured { cost, .. }) = (name.starts_with("pssh"), row) {
            *cost = Cost { cpu: cost.cpu * 5, wall: cost.wall * 5 };
        }
    }
    Ok(result)
}

type Jobs = Vec<(String, std::result::Result<(Job, u32), Row>)>;

fn measured(case: Case, jobs: Jobs, rounds: usize) -> Result {
    let mut costs: HashMap<String, Vec<Cost>> = HashMap::new();
    let mut failed: HashMap<String, String> = HashMap::new();
    for round in 1..=rounds {
        for (name, job) in &jobs {
            let Ok((job, times)) = job else { continue };
            if failed.contains_key(name) {
                continue;
            }
            match cost(job, *times) {
                Ok(cost) => {
                    say(&format!("{}, round {round}: {name}: {:.3?} CPU, {:.3?}", case.title, cost.cpu, cost.wall));
                    costs.entry(name.clone()).or_default().push(cost);
                }
                Err(error) => {
                    say(&format!("{}, round {round}: {name} failed: {error}", case.title));
                    failed.insert(name.clone(), error.to_string());
                }
            }
        }
    }
    let mut rows = Vec::new();
    for (name, job) in jobs {
        let row = match job {
            Err(row) => row,
            Ok((job, _)) => match (failed.remove(&name), costs.remove(&name)) {
                (None, Some(costs)) => match size(&job) {
                    Ok(size) => Row::Measured { cost: median(&costs), size },
                    Err(error) => Row::Failed(error.to_string()),
                },
                (Some(said), _) => Row::Failed(said),
                (None, None) => Row::LeftOut("no round"),
            },
        };
        rows.push((name, row));
    }
    Result { case, rows }
}

/// Each number by itself: the middle one, or what is between the two in the middle.
fn median(costs: &[Cost]) -> Cost {
    let middle = |of: fn(&Cost) -> Duration| {
        let mut times: Vec<Duration> = costs.iter().map(of).collect();
        times.sort_unstable();
        (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2
    };
    Cost { cpu: middle(|cost| cost.cpu), wall: middle(|cost| cost.wall) }
}
