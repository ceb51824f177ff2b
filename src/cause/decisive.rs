//! The lines that decide where no row of the catalogue matches: the first FATAL or PANIC of the newest try, with what belongs
//! to it.
//!
//! Words of severities in English and Chinese are from openGauss' and PostgreSQL's translations (`zh_CN.po`).

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// Lines that a proof shows at most.
const MOST: usize = 8;
/// Lines in which a server that falls down again and again has done it more than once; measured: a dozen lines each time.
const LOOPS: usize = 40;
/// Lines before the decisive one that may explain it.
const BEFORE: usize = 2;

/// Logs that are written block by block, each of one try to start, so that the first trouble of a block is the cause and the rest
/// follows from it. The others go on for as long as the program lives: there the newest line counts.
const BLOCKS: [&str; 7] = ["DNERR", "SYSCALL", "PGLOG", "PGSTART", "STARTUP", "GPCSV", "OUTPUT"];

/// Compiled once; empty where one is no regular expression, which the tests would show.
struct Patterns {
    start: RegexSet,
    up: RegexSet,
    again: RegexSet,
    severe: RegexSet,
    last_words: RegexSet,
    broken: RegexSet,
    harmless: RegexSet,
    noise: RegexSet,
    belongs: RegexSet,
    explains: RegexSet,
    names: RegexSet,
    message: Option<Regex>,
    number: Option<Regex>,
    process: Option<Regex>,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let set = |patterns: &[&str]| RegexSet::new(patterns).unwrap_or_else(|_| RegexSet::empty());
    Patterns {
        // Where a try begins.
        start: set(&[
            r"starting PostgreSQL ",
            r"can not read GAUSS_WARNING_TYPE env",
            r"reserved memory for backend threads is",
        ]),
        up: set(&[r"ready to accept (read-only )?connections|database system is ready"]),
        // A server that lost a process it cannot be without, and begins anew by itself.
        again: set(&[r"all server processes terminated; reinitializing|所有的服务器进程被终止"]),
        severe: set(&[
            r"\b(FATAL|PANIC):",
            r"(致命错误|系统崩溃|比致命错误还过分的错误)[:：]",
            // gs_sdr, gpstart, ohasd.
            r"\[(ERROR|CRITICAL|FATAL|PANIC)\]",
            // Oracle, whose words are translated: numbers that are never news of a start that goes well.
            r"\b(ORA-\d{5}|PROCL?-\d+|CLSU-00100)\b",
            r"\bCRS-(1606|1608|1705|2757|2765|2771|2878|2883|4124|501[0-8]|5055|58(15|18|22))\b",
        ]),
        // Before a server has any log at all.
        last_words: set(&[r"^(postgres|postmaster|gaussdb): "]),
        // What a program says that does not come as far as its own log, and what the system says of it.
        broken: set(&[
            r"error while loading shared libraries|symbol lookup error|GLIBC[X_0-9.]* not found",
            r"(?i)segmentation fault|core dumped|bus error|illegal instruction|out of memory|Aborted\b|Killed\b",
            r": (command )?not found$|cannot execute|exec format error|Permission denied$|No such file or directory$",
            r"\bERROR:|(错误)[:：]|\berror: ",
        ]),
        // FATAL is not death: sessions and replication end so on healthy servers. And frames that are never a cause.
        harmless: set(&[
            r"terminating (connection|walreceiver process|background worker)|Invalid username/password,login denied",
            r"authentication timeout|the database system is (starting up|shutting down|in recovery mode)",
            r"could not connect to the primary server|password authentication failed|no pg_hba\.conf entry",
            r"could not start server|GAUSS-53600|PG_CTL failed|start command failed|database system is shut down",
            r"stopped waiting|CRS-2674|CRS-4000|startup process (exited|\(PID \d+\))|startup process was terminated",
            r"sorry, too many clients|remaining connection slots|role .* does not exist|database .* does not exist",
        ]),
        noise: set(&[
            r"GAUSS_WARNING_TYPE|AlarmItem|feature control file|core dump path|memory protect|gscgroup|cgroup config",
        ]),
        belongs: set(&[
            r"\b(DETAIL|HINT|CONTEXT|STATEMENT|LOCATION|QUERY):",
            r"(详细信息|提示|上下文|背景|语句)[:：]",
            r"^[\t ]",
        ]),
        explains: set(&[
            r"(?i)could not|invalid|unrecognized|out of range|outside the valid range|not found|failed|permission denied|no such",
            r"line \d+ of|CONTEXT:|无法|无效|错误|失败|没有|encountered the following error",
        ]),
        // gpstart: which segments, which its verdict does not say.
        names: set(&[r"\bFAILED\s+host:"]),
        process: Regex::new(r"\[(\d+)\] |\b([0-9a-f]{8}\.[0-9a-f]+) ").ok(),
        message: Regex::new(concat!(
            r"(?:(?:FATAL|PANIC|ERROR|致命错误|系统崩溃|比致命错误还过分的错误|错误|error)[:：]",
            r"|\[(?:ERROR|CRITICAL|FATAL|PANIC)\]:?-?)\s*(.*)$"
        ))
        .ok(),
        number: Regex::new(r"\b(?:CRS|ORA|PROCL?|CLSU)-\d+:.*$").ok(),
    }
});

/// The pieces of a log in which one decision each stands, newest first: tries, where the log has them. What came before the
/// newest try that succeeded is past.
pub(super) fn blocks(codes: &[String], lines: &[String]) -> Vec<Range<usize>> {
    if !first_counts(codes) {
        return vec![0..lines.len(); 1];
    }
    let mut begins = vec![0];
    // The process whose last words ended a try: what another one says belongs to the next.
    let mut ended: Option<Option<&str>> = None;
    for (at, line) in lines.iter().enumerate() {
        let is_start = |at: usize| PATTERNS.start.is_match(&lines[at]);
        // Neighbouring lines of one beginning are one beginning.
        let starts = is_start(at) && at.checked_sub(1).is_none_or(|before| !is_start(before));
        let is_next =
            !PATTERNS.belongs.is_match(line) && ended.is_some_and(|ended| ended.is_none() || process(line) != ended);
        if starts || is_next {
            begins.push(at);
            ended = None;
        }
        if (PATTERNS.severe.is_match(line) || PATTERNS.last_words.is_match(line)) && !PATTERNS.harmless.is_match(line) {
            ended = Some(process(line));
        }
    }
    // One that comes up and falls down again and again is not up, whatever it says.
    let newest = lines.iter().rev().take(LOOPS);
    let loops = newest.filter(|line| PATTERNS.again.is_match(line)).count() > 1;
    let is_up = |at: &usize| !loops && PATTERNS.up.is_match(&lines[*at]);
    let mut found = Vec::new();
    let mut end = lines.len();
    for begin in begins.into_iter().rev() {
        if let Some(up) = (begin..end).rev().find(is_up) {
            found.push(up + 1..end);
            break;
        }
        found.push(begin..end);
        end = begin;
    }
    found
}

/// Which process wrote a line: `[4711]` of PostgreSQL, the session of openGauss.
fn process(line: &str) -> Option<&str> {
    let found = PATTERNS.process.as_ref()?.captures(line)?;
    found.get(1).or(found.get(2)).map(|process| process.as_str())
}

/// Whether the first or the newest trouble of a block is the cause.
pub(super) fn first_counts(codes: &[String]) -> bool {
    codes.iter().any(|code| BLOCKS.contains(&code.as_str()))
}

/// The decisive line of a log that no row of the catalogue knows. `None`: it holds none.
pub(super) fn decisive_line(codes: &[String], lines: &[String]) -> Option<(usize, String)> {
    let harmless = |line: &str| PATTERNS.harmless.is_match(line);
    let severe = |line: &str| PATTERNS.severe.is_match(line) && !harmless(line);
    let broken = |line: &str| PATTERNS.broken.is_match(line) && !PATTERNS.noise.is_match(line) && !harmless(line);
    for block in blocks(codes, lines) {
        let found = if first_counts(codes) {
            let first = |decides: &dyn Fn(&str) -> bool| block.clone().find(|at| decides(&lines[*at]));
            first(&severe).or_else(|| first(&broken))
        } else {
            block.clone().rev().find(|at| severe(&lines[*at]))
        };
        if let Some(at) = found {
            return Some((at, message(&lines[at])));
        }
    }
    None
}

/// What a line says, without time, process and severity.
pub(super) fn message(line: &str) -> String {
    if let Some(found) = PATTERNS.number.as_ref().and_then(|number| number.find(line)) {
        return found.as_str().trim().to_owned();
    }
    let said = PATTERNS.message.as_ref().and_then(|message| message.captures(line)).and_then(|found| found.get(1));
    said.map_or(line, |said| said.as_str()).trim().to_owned()
}

/// A decisive line with what explains it before and belongs to it after, and lines that name what it is about.
pub(super) fn proof(lines: &[String], at: usize) -> Vec<String> {
    let explains = |line: &&String| PATTERNS.explains.is_match(line) && !PATTERNS.harmless.is_match(line);
    let before = lines[..at].iter().rev().take(BEFORE).take_while(explains).count();
    let after = lines[at + 1..].iter().take(MOST).take_while(|line| PATTERNS.belongs.is_match(line)).count();
    let mut naming: Vec<&String> = lines[..at - before].iter().filter(|line| PATTERNS.names.is_match(line)).collect();
    naming.drain(..naming.len().saturating_sub(MOST / 2));
    naming
        .into_iter()
        .chain(&lines[at - before..=at + after])
        .take(MOST)
        .map(|line| line.trim_end().to_owned())
        .collect()
}
