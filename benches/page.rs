//! The page: what was measured, on what, and whether it is what was promised.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::extras::Extras;
use super::measure::Cost;
use super::tool::Tool;
use super::{Result, Row};

const HEAD: &str = "# gsctl beside its peers

Written by `make bench`; the numbers are those of one run on one machine, clients and hosts on the same cores. Every tool logs in
to the same hosts with the same key and runs `true`; each must say that all hosts succeeded, or it has no numbers. The tools take
turns, in several rounds, the quick ones three times in each; what is shown is the median. What starts a process for each host is run in
one round. Processor time is user and system time of the client and every process that it waited for, without the servers. Memory and
processes are looked at every 25 ms in a further run, or every 100 ms in the one that is timed; memory is the resident memory of all
of the client's processes together. `bare loop` is `benches/bare.rs`: the same libraries, and nothing but the logins; its nodes run the
very text that gsctl sends, by the same cipher, and it reads to the end what they print.
ansible's ControlMaster is off: its masters outlive the run, and would not be counted.

";

/// One of the times of a cost.
type Part = fn(&Cost) -> Duration;

/// The whole page.
pub(crate) fn page(results: &[Result], extras: &Extras, rounds: usize) -> String {
    let mut page = HEAD.to_owned();
    let _ = writeln!(page, "## What it was measured on\n\n{}", machine(rounds));
    let _ = writeln!(page, "## What was promised\n\n| | promised | measured | |\n|---|---|---|---|");
    for Promise { what, limit, measured, unit } in promises(results, extras) {
        let measured = measured.map(|measured| (measured, if measured <= limit { "kept" } else { "**missed**" }));
        let (measured, kept) = match measured {
            Some((measured, kept)) => (format!("{measured:.3} {unit}"), kept),
            None => ("not measured".to_owned(), ""),
        };
        let _ = writeln!(page, "| {what} | at most {limit:.3} {unit} | {measured} | {kept} |");
    }
    for result in results {
        page.push_str(&table(result));
    }
    page.push_str(&alone(extras));
    page.push_str("\n## Where the time goes\n\n[profiles.md](profiles.md), written by `make profile`.\n");
    page.push_str(
        "\n## Again\n\n    make peers    # parallel-ssh's library and bssh, under target/peers\n    make bench\n    \
         make bench BENCH='--rounds 1 --scale 0.1 --out /tmp/benchmarks.md'\n\nA tool that is not installed stands in the tables as \
         such. There is no latency on real sshd: it would take a change to the loopback device of the whole machine.\n",
    );
    page
}

/// What has nothing to be compared with.
fn alone(extras: &Extras) -> String {
    let mut text = String::new();
    if let Some((hosts, size, connections)) = extras.held {
        let _ = writeln!(
            text,
            "\n## Held open at once\n\n{hosts} simulated hosts whose command ends only once all are under way: {connections} \
             connections at once, {:.0} MB.",
            megabytes(size.bytes)
        );
    }
    text.push_str(&much_or_one(extras));
    if !extras.trips.is_empty() {
        text.push_str(
            "\n## Round trips\n\nWhat 100 ms of latency add to the time for one simulated host, in latencies, with \
             curve25519-sha256 for ssh.\n\n| what | round trips |\n|---|---:|\n",
        );
        for (what, trips) in &extras.trips {
            let _ = writeln!(text, "| {what} | {trips:.1} |");
        }
    }
    if let Some([status, start]) = extras.looks {
        let _ = write!(
            text,
            "\n## A look at a node\n\nAn openGauss node that is stopped and has nothing wrong with it. It is one round trip either way.\n\n\
             | look of | CPU | wall |\n|---|---:|---:|\n"
        );
        for (what, cost) in [("`status`", status), ("`start`, with all that may keep it down", start)] {
            let _ = writeln!(
                text,
                "| {what} | {:.1} ms | {:.1} ms |",
                milliseconds(cost.cpu, 1),
                milliseconds(cost.wall, 1)
            );
        }
    }
    if let Some((hosts, [own, clush])) = extras.prompts {
        let _ = write!(
            text,
            "\n## A line at a prompt\n\n{hosts} hosts on real sshd; what each further line costs after the first, and a run of clush, \
             which logs in for each line at its prompt, too.\n\n| line of | CPU | wall |\n|---|---:|---:|\n"
        );
        for (what, cost) in [("`gsctl shell`", own), ("`clush`", clush)] {
            let (cpu, wall) = (milliseconds(cost.cpu, 1), milliseconds(cost.wall, 1));
            let _ = writeln!(text, "| {what} | {cpu:.1} ms | {wall:.1} ms |");
        }
    }
    if !extras.known.is_empty() {
        text.push_str(
            "\n## A large `known_hosts`\n\n1,000 simulated hosts (less with `--scale`), each with a line of its own, which comes last.\n\n\
             | besides | CPU | wall time |\n|---|---:|---:|\n",
        );
        for (what, cost) in &extras.known {
            let (cpu, wall) = (cost.cpu.as_secs_f64(), cost.wall.as_secs_f64());
            let _ = writeln!(text, "| {what} | {cpu:.2} s | {wall:.2} s |");
        }
    }
    if !extras.output.is_empty() {
        text.push_str(
            "\n## Large output\n\n100 simulated hosts, 32 at once, print 1 GB together (less with `--scale`), and the output goes to \
             `/dev/null`. What does not fit in memory lies in a file meanwhile: 256 KiB a host and 16 MiB a run do.\n\n\
             | shown | bytes | CPU | wall time | MB a second | memory |\n|---|---:|---:|---:|---:|---:|\n",
        );
        for (way, bytes, cost, size) in &extras.output {
            let (cpu, wall) = (cost.cpu.as_secs_f64(), cost.wall.as_secs_f64());
            let (all, a_second) = (bytes / 1e6, bytes / 1e6 / wall);
            let memory = megabytes(size.bytes);
            let _ =
                writeln!(text, "| {way} | {all:.0} MB | {cpu:.2} s | {wall:.2} s | {a_second:.0} | {memory:.0} MB |");
        }
    }
    if !extras.events.is_empty() {
        text.push_str(
            "\n## Events\n\nWhat reporters take in a second, on one core: 20,000 hosts log in, print four lines and end.\n\n\
             | reporter | events a second |\n|---|---:|\n",
        );
        for (way, rate) in &extras.events {
            let _ = writeln!(text, "| {way} | {rate:.0} |");
        }
    }
    text
}

/// A large fleet, a long wait, and a single host.
fn much_or_one(extras: &Extras) -> String {
    let mut text = String::new();
    if let Some(rows) = extras.large {
        text.push_str("\n## A large fleet\n\nOne process, at most 256 hosts at once; every host has a line in the hosts file and one in `known_hosts`.\n\n| hosts | CPU | wall time | memory | memory a host |\n|---:|---:|---:|---:|---:|\n");
        for (hosts, cost, size) in rows {
            let (cpu, wall) = (cost.cpu.as_secs_f64(), cost.wall.as_secs_f64());
            let each = megabytes(size.bytes) * 1000.0 / f64::from(u32::try_from(hosts).unwrap_or(u32::MAX));
            let _ = writeln!(
                text,
                "| {hosts} | {cpu:.1} s | {wall:.1} s | {:.0} MB | {each:.1} KB |",
                megabytes(size.bytes)
            );
        }
    }
    if let Some(wait) = &extras.wait {
        let hosts = u64::try_from(wait.hosts).unwrap_or(u64::MAX);
        let _ = writeln!(
            text,
            "\n## A wait\n\n{hosts} simulated hosts that never come up are waited for {} s and looked at each {} s: {:.2} of a core, {} looks \
             ({:.1} a host), at most {:.2} s between two looks at a host, {:.0} microseconds of CPU for each look with its part of the logins.",
            wait.time.as_secs(),
            wait.every.as_secs(),
            wait.cost.cpu.as_secs_f64() / wait.cost.wall.as_secs_f64(),
            wait.looks,
            ratio_of(wait.looks, hosts),
            wait.longest.as_secs_f64(),
            wait.cost.cpu.as_secs_f64() * 1e6 / ratio_of(wait.looks, 1)
        );
    }
    if let Some([own, ssh]) = extras.one {
        text.push_str("\n## One host, beside ssh\n\n`true` on one host of a real sshd; of ssh the fastest of all runs, with its own key exchange and with curve25519-sha256.\n\n| | CPU | wall time |\n|---|---:|---:|\n");
        for (what, cost) in [("gsctl", own), ("ssh, at its fastest", ssh)] {
            let _ = writeln!(
                text,
                "| {what} | {:.1} ms | {:.1} ms |",
                milliseconds(cost.cpu, 1),
                milliseconds(cost.wall, 1)
            );
        }
    }
    text
}

fn table(result: &Result) -> String {
    let case = &result.case;
    let mut text = format!(
        "\n## {}\n\nAt most {} at once.\n\n| tool | CPU a host | wall time | memory | processes | CPU, gsctl = 1 | wall, gsctl = 1 |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        case.title, case.fanout
    );
    let own = cost_of(result, Tool::Gsctl.name());
    for (name, row) in &result.rows {
        let _ = match row {
            Row::Missing => writeln!(text, "| {name} | not installed | | | | | |"),
            Row::Failed(said) => {
                let said: String = said.chars().filter(|c| !c.is_control() && *c != '|').take(100).collect();
                writeln!(text, "| {name} | failed: {said} | | | | | |")
            }
            Row::Measured { cost, size } => {
                let times = |of: Part| own.map_or(0.0, |own| of(cost).as_secs_f64() / of(&own).as_secs_f64());
                writeln!(
                    text,
                    "| {name} | {:.2} ms | {:.2} s | {:.0} MB | {} | {:.1} | {:.1} |",
                    milliseconds(cost.cpu, case.hosts),
                    cost.wall.as_secs_f64(),
                    megabytes(size.bytes),
                    size.processes,
                    times(|cost| cost.cpu),
                    times(|cost| cost.wall)
                )
            }
        };
    }
    text
}

/// Something that gsctl is to be at most.
struct Promise {
    what: String,
    limit: f64,
    measured: Option<f64>,
    unit: &'static str,
}

fn promises(results: &[Result], extras: &Extras) -> Vec<Promise> {
    let mut promises = Vec::new();
    let mut add = |what: &str, limit: f64, measured: Option<f64>, unit| {
        promises.push(Promise { what: what.to_owned(), limit, measured, unit });
    };
    let find = |words: &[&str]| results.iter().find(|result| words.iter().all(|word| result.case.title.contains(word)));
    let own = Tool::Gsctl.name();
    let ratio = |result: Option<&Result>, other: &str, of: Part| {
        let (own, other) = (cost_of(result?, own)?, cost_of(result?, other)?);
        Some(of(&own).as_secs_f64() / of(&other).as_secs_f64())
    };
    let (cpu, wall): (Part, Part) = (|cost| cost.cpu, |cost| cost.wall);
    let fleets: Vec<&Result> = results.iter().filter(|result| result.case.title.ends_with(", 0 ms")).collect();
    let (thousand, ten) = (fleets.first().copied(), fleets.get(1).copied());
    let a_host = |result: &Result| Some(milliseconds(cost_of(result, own)?.cpu, result.case.hosts));
    add("fleet, first size: CPU a host", 1.0, thousand.and_then(a_host), "ms");
    for (tool, limit) in [(Tool::Pssh, 1.0 / 18.0), (Tool::ParallelSsh, 0.5), (Tool::Bssh, 0.6)] {
        add(&format!("fleet, first size: CPU beside {}", tool.name()), limit, ratio(thousand, tool.name(), cpu), "");
    }
    let largest = |words: &[&str]| {
        let found = results.iter().filter(|result| words.iter().all(|word| result.case.title.contains(word)));
        found.filter(|result| !result.case.title.contains("five steps")).max_by_key(|result| result.case.hosts)
    };
    let (each, same) = (largest(&["real sshd", "own key exchange"]), largest(&["real sshd", super::SAME]));
    for tool in [Tool::Pssh, Tool::Pdsh, Tool::Clush] {
        let name = tool.name();
        add(&format!("real sshd: CPU beside {name}, each its own key exchange"), 0.02, ratio(each, name, cpu), "");
        add(&format!("real sshd: CPU beside {name}, the same key exchange"), 0.125, ratio(same, name, cpu), "");
    }
    let one = find(&["real sshd, 1 host"]);
    let bare = Tool::Bare.name();
    for (place, result, limit) in
        [("fleet, first size", thousand, 1.10), ("real sshd", each, 1.15), ("real sshd, one host", one, 1.25)]
    {
        add(&format!("{place}: CPU beside {bare}"), limit, ratio(result, bare, cpu), "");
    }
    let ssh = |of: Part| extras.one.map(|[own, ssh]| of(&own).as_secs_f64() / of(&ssh).as_secs_f64());
    add("one host: wall time beside ssh at its fastest", 1.2, ssh(wall), "");
    add("one host: CPU beside ssh at its fastest", 1.0, ssh(cpu), "");
    for (place, result) in [("fleet, first size", thousand), ("real sshd", each)] {
        for tool in Tool::ALL.into_iter().skip(1) {
            let limit = if tool == Tool::Bare { 1.05 } else { 1.0 };
            add(&format!("{place}: wall time beside {}", tool.name()), limit, ratio(result, tool.name(), wall), "");
        }
    }
    let seconds = |result: &Result| Some(cost_of(result, own)?.wall.as_secs_f64());
    add("fleet, second size: wall time", 15.0, ten.and_then(seconds), "s");
    let growth = ten.and_then(a_host).zip(thousand.and_then(a_host)).map(|(ten, one)| ten / one);
    add("CPU a host, second size beside first", 1.2, growth, "");
    add(
        "memory with all of the second size held open",
        900.0,
        // Fewer, where there are too few descriptors: as much for each.
        extras
            .held
            .map(|(hosts, size, _)| megabytes(size.bytes) * 10_000.0 / f64::from(u32::try_from(hosts).unwrap_or(1))),
        "MB",
    );
    let large = |of: fn(&Cost) -> Duration| {
        let [(_, part, _), (_, all, _)] = extras.large?;
        Some(of(&all).as_secs_f64() / of(&part).as_secs_f64())
    };
    add("100,000 hosts: wall time beside 10,000", 11.0, large(wall), "");
    add("100,000 hosts: CPU beside 10,000", 11.0, large(cpu), "");
    add("100,000 hosts: memory", 300.0, extras.large.map(|[_, (_, _, size)]| megabytes(size.bytes)), "MB");
    let wait = extras.wait.as_ref();
    let core = wait.map(|wait| wait.cost.cpu.as_secs_f64() / wait.cost.wall.as_secs_f64());
    add("a wait for 2,000 hosts: share of a core", 0.3, core, "");
    let late = wait.map(|wait| wait.longest.as_secs_f64() / wait.every.as_secs_f64());
    add("a wait for 2,000 hosts: longest time between two looks, in intervals", 2.0, late, "");
    let row = |way: &str| extras.output.iter().find(|(name, ..)| *name == way);
    let slower = |way: &str| {
        let ((_, _, own, _), (_, _, bare, _)) = (row(way)?, row(super::extras::BARE)?);
        Some(own.wall.as_secs_f64() / bare.wall.as_secs_f64())
    };
    add("1 GB streamed: wall time beside the bare loop", 1.0 / 0.85, slower("streamed"), "");
    add("1 GB gathered: wall time beside the bare loop", 1.0 / 0.9, slower("gathered"), "");
    for way in ["streamed", "gathered"] {
        let memory = row(way).map(|(_, _, _, size)| megabytes(size.bytes));
        add(&format!("1 GB {way}: memory"), 64.0, memory, "MB");
    }
    let (limit, at) = match extras.hidden {
        Some([near, far, one]) => ((near + one.mul_f64(1.5)).as_secs_f64(), Some(far.as_secs_f64())),
        None => (0.0, None),
    };
    add("all at once at 50 ms: as at 0 ms, and 1.5 times one host's time", limit, at, "s");
    let more = extras.looks.map(|[status, start]| milliseconds(start.wall.saturating_sub(status.wall), 1));
    add("a look before a start that finds nothing, beside the look of `status`", 100.0, more, "ms");
    let prompts = |of: Part| {
        let (_, [own, clush]) = extras.prompts?;
        Some(of(&own).as_secs_f64() / of(&clush).as_secs_f64())
    };
    add("a line of `gsctl shell`: CPU beside clush", 0.05, prompts(cpu), "");
    add("a line of `gsctl shell`: wall time beside clush", 0.2, prompts(wall), "");
    let five = find(&["five steps"]);
    add("five steps: wall time beside five pssh runs", 0.25, ratio(five, "pssh, five runs", wall), "");
    add("five steps: CPU beside five pssh runs", 0.02, ratio(five, "pssh, five runs", cpu), "");
    promises
}

fn cost_of(result: &Result, name: &str) -> Option<Cost> {
    result.rows.iter().find_map(|(own, row)| match row {
        Row::Measured { cost, .. } if own == name => Some(*cost),
        _ => None,
    })
}

fn machine(rounds: usize) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let ssh = Command::new("ssh").arg("-V").output().map(|output| output.stderr).unwrap_or_default();
    let mut text = format!(
        "{cores} cores of {}, Linux {}, {}; {}; load average at the end {}.\n\n",
        model.unwrap_or("an unnamed processor"),
        kernel.trim(),
        String::from_utf8_lossy(&ssh).trim(),
        if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") },
        load.split(' ').next().unwrap_or_default(),
    );
    for tool in Tool::ALL.into_iter().filter(|tool| *tool != Tool::Bare) {
        let version = match (tool.program(), tool.version()) {
            (None, _) => "not installed".to_owned(),
            (Some(_), version) => version.unwrap_or_else(|| "version not said".to_owned()),
        };
        let _ = writeln!(text, "- {} {version}", tool.name());
    }
    text
}

fn milliseconds(time: Duration, hosts: usize) -> f64 {
    time.as_secs_f64() * 1000.0 / f64::from(u32::try_from(hosts).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "no count is so large")]
fn ratio_of(one: u64, other: u64) -> f64 {
    one as f64 / other.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "no memory is so large")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A number of hosts.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
pub(crate) fn whole(number: f64) -> usize {
    number as usize
}
