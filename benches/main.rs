//! `make bench`: gsctl beside its peers, on the same hosts, in turn. Writes `docs/benchmarks.md`.
//!
//!     bench [--rounds N] [--scale F] [--only WORD] [--out FILE]
//!
//! What is quick is run so often (`--rounds`), in turn with the others; what starts a process for each host takes minutes and is run
//! once. `--scale 0.1` takes a tenth of the hosts, to try it out; `--only` takes the measurements whose title holds a word.

mod extras;
mod measure;
mod page;
mod preflight;
mod site;
mod tool;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use extras::Extras;
use measure::{Cost, Job, Size, cost, cost_and_size, say, size};
use site::Site;
use tool::{Tool, gsctl_options};

/// The one key exchange that all have, where it is to be the same for all.
const SAME: &str = "curve25519-sha256";
/// More hosts than this take most tools minutes.
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

/// What became of a tool in a case.
enum Row {
    Measured { cost: Cost, size: Size },
    Failed(String),
    Missing,
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
    let out = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md"));
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
    let mut book = Book { wishes, results: Vec::new(), extras: Extras::default() };
    book.alone()?;
    book.real()?;
    book.simulated()?;
    say(&format!("wrote {}", wishes.out.display()));
    Ok(())
}

/// What has been measured so far.
struct Book<'a> {
    wishes: &'a Wishes,
    results: Vec<Result>,
    extras: Extras,
}

impl Book<'_> {
    fn scaled(&self, hosts: u32) -> usize {
        let scaled = (f64::from(hosts) * self.wishes.scale).round().max(1.0);
        if hosts == 1 { 1 } else { page::whole(scaled) }
    }

    fn wanted(&self, title: &str) -> bool {
        title.contains(&self.wishes.only)
    }

    /// Writes the page after each measurement: whoever stops it keeps what there is.
    fn write(&self) -> io::Result<()> {
        std::fs::write(&self.wishes.out, page::page(&self.results, &self.extras, self.wishes.rounds))
    }

    fn add(&mut self, result: Result) -> io::Result<()> {
        self.results.push(result);
        self.write()
    }

    /// What has nothing to be compared with.
    fn alone(&mut self) -> io::Result<()> {
        let rounds = self.wishes.rounds;
        if self.wanted("latency is hidden") {
            self.extras.hidden = Some(extras::hidden(self.scaled(1_000), rounds)?);
        }
        if self.wanted("held open") {
            self.extras.held = Some(extras::held(self.scaled(10_000))?);
        }
        if self.wanted("large fleet") {
            self.extras.large = Some(extras::large(self.scaled(100_000))?);
            self.write()?;
        }
        if self.wanted("a wait") {
            self.extras.wait = Some(extras::wait(self.scaled(2_000), Duration::from_secs(60))?);
            self.write()?;
        }
        if self.wanted("round trips") {
            self.extras.trips = extras::trips(1)?;
        }
        if self.wanted("look before a start") {
            self.extras.looks = Some(preflight::looks(rounds)?);
        }
        if self.wanted("known_hosts") {
            self.extras.known = extras::known(self.scaled(1_000), rounds)?;
        }
        if self.wanted("large output") {
            self.extras.output = extras::output(self.wishes.scale, rounds)?;
        }
        if self.wanted("events") {
            self.extras.events = extras::events(self.scaled(20_000));
        }
        self.write()
    }

    fn real(&mut self) -> io::Result<()> {
        let all = self.scaled(250);
        let site = Site::sshd(all)?;
        if self.wanted("beside ssh") {
            self.extras.one = Some(extras::beside_ssh(&site, self.wishes.rounds)?);
            self.write()?;
        }
        for (hosts, times) in [(1, 10), (32, 3), (250, 1)] {
            // The same for all costs each of them less; once is enough to see that.
            let kexes: &[Option<&'static str>] = if hosts == 250 { &[None, Some(SAME)] } else { &[None] };
            for &kex in kexes {
                let with = kex.map_or("each tool's own key exchange".to_owned(), str::to_owned);
                let hosts = self.scaled(hosts);
                let title = format!("real sshd, {hosts} host{}, {with}", if hosts == 1 { "" } else { "s" });
                let tools = Tool::ALL.into_iter().filter(|tool| kex.is_none() || tool.chooses_kex()).collect();
                let case = Case { title, hosts, fanout: 32, times, kex, tools };
                if self.wanted(&case.title) {
                    self.add(compare(case, &site, self.wishes.rounds)?)?;
                }
            }
        }
        if self.wanted("prompts") {
            self.extras.prompts = extras::prompts(&site, self.scaled(32), self.wishes.rounds)?;
            self.write()?;
        }
        let title = format!("real sshd, {all} hosts, five steps");
        if self.wanted(&title) {
            self.add(five_steps(title, &site, all, self.wishes.rounds)?)?;
        }
        Ok(())
    }

    fn simulated(&mut self) -> io::Result<()> {
        for (hosts, fanout) in [(1_000, 128), (10_000, 256)] {
            for latency in if hosts > 1_000 { &[0][..] } else { &[0, 50] } {
                let hosts = self.scaled(hosts);
                let title = format!("simulated fleet, {hosts} hosts, {latency} ms");
                // Nothing is promised beside the others there, and some need minutes.
                let tools = match (hosts > FORKS, *latency) {
                    (false, 0) => Tool::ALL.to_vec(),
                    (false, _) => vec![Tool::Gsctl, Tool::Bare, Tool::Bssh],
                    (true, _) => vec![Tool::Gsctl, Tool::Bare],
                };
                if self.wanted(&title) {
                    let fleet = Site::fleet(hosts, &format!("all latency={latency}ms"))?;
                    let case = Case { title, hosts, fanout, times: 1, kex: None, tools };
                    self.add(compare(case, &fleet, self.wishes.rounds)?)?;
                }
            }
        }
        Ok(())
    }
}

/// All tools in turn, several rounds.
fn compare(case: Case, site: &Site, rounds: usize) -> io::Result<Result> {
    let files = site.files(case.hosts, case.kex)?;
    let mut jobs: Vec<(Tool, std::result::Result<Job, Row>)> = Vec::new();
    for &tool in &case.tools {
        let job = match tool.program() {
            None => Err(Row::Missing),
            Some(program) => Ok(tool.job(program, site, &files, case.fanout, case.kex)),
        };
        jobs.push((tool, job));
    }
    // What takes a second is repeated: whoever else is on the machine shows more in it than in what takes a minute.
    let times = |tool: Tool| match tool.forks() {
        true => Times { in_a_row: case.times.min(3), rounds: 1 },
        false if case.hosts > FORKS => Times { in_a_row: 1, rounds },
        false => Times { in_a_row: case.times.max(3), rounds },
    };
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
        Some(program) => Ok((Tool::Pssh.job(program, site, &files, 32, None), Times { in_a_row: 1, rounds: 1 })),
        None => Err(Row::Missing),
    };
    let tools = vec![Tool::Gsctl, Tool::Pssh];
    let case = Case { title, hosts, fanout: 32, times: 1, kex: None, tools };
    let jobs =
        vec![("gsctl".to_owned(), Ok((once, Times { in_a_row: 1, rounds }))), ("pssh, five runs".to_owned(), pssh)];
    let mut result = measured(case, jobs, rounds);
    for (name, row) in &mut result.rows {
        if let (true, Row::Measured { cost, .. }) = (name.starts_with("pssh"), row) {
            *cost = Cost { cpu: cost.cpu * 5, wall: cost.wall * 5 };
        }
    }
    Ok(result)
}

/// How often something is run.
#[derive(Debug, Clone, Copy)]
struct Times {
    in_a_row: u32,
    rounds: usize,
}

type Jobs = Vec<(String, std::result::Result<(Job, Times), Row>)>;

fn measured(case: Case, jobs: Jobs, rounds: usize) -> Result {
    let mut costs: HashMap<String, Vec<Cost>> = HashMap::new();
    let mut sizes: HashMap<String, Size> = HashMap::new();
    let mut failed: HashMap<String, String> = HashMap::new();
    for round in 1..=rounds {
        for (name, job) in &jobs {
            let Ok((job, times)) = job else { continue };
            if failed.contains_key(name) || round > times.rounds {
                continue;
            }
            // What is run once is looked at meanwhile; the others in a run of their own.
            let measured = if times.rounds == 1 {
                cost_and_size(job, times.in_a_row).map(|(cost, size)| (cost, Some(size)))
            } else {
                cost(job, times.in_a_row).map(|cost| (cost, None))
            };
            match measured {
                Ok((cost, size)) => {
                    if let Some(size) = size {
                        sizes.insert(name.clone(), size);
                    }
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
                (None, Some(costs)) => match sizes.remove(&name).map_or_else(|| size(&job), Ok) {
                    Ok(size) => Row::Measured { cost: median(&costs), size },
                    Err(error) => Row::Failed(error.to_string()),
                },
                (Some(said), _) => Row::Failed(said),
                (None, None) => Row::Failed("no round".to_owned()),
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
