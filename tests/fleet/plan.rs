//! What each simulated host does: from rules, and at random from a seed. Pure, and the same for the same words.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

/// What one host does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Added to each round trip.
    pub(crate) latency: Duration,
    /// Time that a login takes.
    pub(crate) login: Duration,
    /// Time that a command takes.
    pub(crate) command: Duration,
    /// Bytes that a command prints.
    pub(crate) output: usize,
    /// Exit status of commands.
    pub(crate) exit: u8,
    /// What goes wrong.
    pub(crate) fault: Option<Fault>,
    /// On how many connections it goes wrong; the ones after that are fine.
    pub(crate) times: u32,
    /// Share of connections that are dropped before a word is said, in percent (`MaxStartups`).
    pub(crate) drop: u8,
    /// Bytes a second that it reads; 0: as fast as it can.
    pub(crate) reads: usize,
    /// Commands wait until so many are under way on all hosts together.
    pub(crate) barrier: usize,
    /// Commands end only once every host without this has told the end of one.
    pub(crate) last: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            login: Duration::ZERO,
            command: Duration::ZERO,
            output: 0,
            exit: 0,
            fault: None,
            times: u32::MAX,
            drop: 0,
            reads: 0,
            barrier: 0,
            last: false,
        }
    }
}

/// What goes wrong on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing listens there.
    Refuse,
    /// It takes the connection and says nothing.
    Mute,
    /// It shows another host key.
    Key,
    /// It takes no key of the client's.
    Auth,
    /// It resets the connection here.
    Reset(At),
    /// A command never ends.
    Hang,
    /// A command prints without end.
    Endless,
    /// A command is killed by a signal.
    Signal,
    /// The channel is closed, with exit status 0, before the command has ended (`ChannelTimeout`).
    Silent,
}

/// A point in the life of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Accept,
    Banner,
    Kex,
    Auth,
    Channel,
    /// The request to run something.
    Exec,
    /// The command has begun.
    Begun,
    /// Half of its output is sent.
    Output,
    /// The result was told.
    Told,
}

const FAULTS: &[(&str, Fault)] = &[
    ("refuse", Fault::Refuse),
    ("mute", Fault::Mute),
    ("key", Fault::Key),
    ("auth", Fault::Auth),
    ("reset@accept", Fault::Reset(At::Accept)),
    ("reset@banner", Fault::Reset(At::Banner)),
    ("reset@kex", Fault::Reset(At::Kex)),
    ("reset@auth", Fault::Reset(At::Auth)),
    ("reset@channel", Fault::Reset(At::Channel)),
    ("reset@exec", Fault::Reset(At::Exec)),
    ("reset@begun", Fault::Reset(At::Begun)),
    ("reset@output", Fault::Reset(At::Output)),
    ("reset@told", Fault::Reset(At::Told)),
    ("hang", Fault::Hang),
    ("endless", Fault::Endless),
    ("signal", Fault::Signal),
    ("silent", Fault::Silent),
];

impl Fault {
    /// Its word.
    pub(crate) fn word(self) -> &'static str {
        FAULTS.iter().find(|(_, fault)| *fault == self).map_or("", |(word, _)| word)
    }
}

/// Words for some hosts: `all latency=50ms`, `3-7 fault=reset@kex times=1`.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    first: usize,
    last: usize,
    words: Vec<(String, String)>,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let range = words.next().ok_or("a rule begins with `all`, a number or a range")?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| format!("`{text}` is not a number"));
        let (first, last) = match range.split_once('-') {
            _ if range == "all" => (1, usize::MAX),
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, number(range)?),
        };
        let pair = |word: &str| {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not NAME=VALUE"))?;
            Ok::<_, String>((name.to_owned(), value.to_owned()))
        };
        let rule = Self { first, last, words: words.map(pair).collect::<Result<_, _>>()? };
        // So that a wrong word is said at once, and not where the rule is used.
        rule.apply(&mut Plan::default())?;
        Ok(rule)
    }
}

impl Rule {
    fn apply(&self, plan: &mut Plan) -> Result<(), String> {
        for (name, value) in &self.words {
            let number = || value.parse::<usize>().map_err(|_| format!("{name}: `{value}` is not a number"));
            let small = || value.parse::<u8>().map_err(|_| format!("{name}: `{value}` is not a number up to 255"));
            let time = || match value.strip_suffix("ms").and_then(|digits| digits.parse().ok()) {
                Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
                None => Err(format!("{name}: `{value}` is not a time like `50ms`")),
            };
            match name.as_str() {
                "latency" => plan.latency = time()?,
                "login" => plan.login = time()?,
                "command" => plan.command = time()?,
                "output" => plan.output = number()?,
                "exit" => plan.exit = small()?,
                "times" => plan.times = value.parse().map_err(|_| format!("times: `{value}` is not a number"))?,
                "drop" => plan.drop = small()?,
                "reads" => plan.reads = number()?,
                "barrier" => plan.barrier = number()?,
                "last" => plan.last = value == "yes",
                "fault" => {
                    let known = FAULTS.iter().find(|(word, _)| word == value);
                    plan.fault = Some(known.ok_or_else(|| format!("`{value}` is not a fault"))?.1);
                }
                _ => return Err(format!("`{name}` is nothing that a host has")),
            }
        }
        Ok(())
    }
}

/// The plans of so many hosts. `random`: a seed, and the share of hosts in percent on which something goes wrong.
pub(crate) fn plans(hosts: usize, rules: &[Rule], random: Option<(u64, u8)>) -> Vec<Plan> {
    (1..=hosts)
        .map(|number| {
            let mut plan = random.map_or_else(Plan::default, |(seed, share)| at_random(seed, number, share));
            for rule in rules.iter().filter(|rule| (rule.first..=rule.last).contains(&number)) {
                rule.apply(&mut plan).expect("the rule was tried when it was read");
            }
            plan
        })
        .collect()
}

fn at_random(seed: u64, number: usize, share: u8) -> Plan {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number as u64);
    let mut plan = Plan {
        latency: Duration::from_millis(*random.choice(&[0, 0, 0, 2, 10]).unwrap_or(&0)),
        login: Duration::from_millis(*random.choice(&[0, 0, 5]).unwrap_or(&0)),
        command: Duration::from_millis(*random.choice(&[0, 0, 5, 30]).unwrap_or(&0)),
        output: *random.choice(&[0, 0, 1, 30, 3_000, 70_000]).unwrap_or(&0),
        exit: *random.choice(&[0, 0, 0, 1, 3, 127, 255]).unwrap_or(&0),
        ..Plan::default()
    };
    if random.u8(0..100) < share {
        // Hosts that make the client wait are few, so that a round is about something else.
        let slow = [Fault::Mute, Fault::Hang, Fault::Endless];
        let fault = FAULTS[random.usize(..FAULTS.len())].1;
        if !slow.contains(&fault) || random.u8(0..8) == 0 {
            plan.fault = Some(fault);
        }
        plan.times = *random.choice(&[1, 2, u32::MAX]).unwrap_or(&1);
        plan.drop = *random.choice(&[0, 0, 30]).unwrap_or(&0);
        if fault == Fault::Endless {
            plan.latency = Duration::ZERO;
        }
    }
    plan
}

/// The address of a host, counted from 1.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    let index = number - 1;
    let part = |value: usize| u8::try_from(value).expect("at most 12 million hosts");
    Ipv4Addr::new(127, part(200 + index / 62_500), part(index / 250 % 250 + 1), part(index % 250 + 1))
}

/// The number of the host at an address.
pub(crate) fn number(address: Ipv4Addr) -> Option<usize> {
    let [127, a @ 200..=255, b @ 1..=250, c @ 1..=250] = address.octets() else { return None };
    Some((usize::from(a) - 200) * 62_500 + (usize::from(b) - 1) * 250 + usize::from(c))
}

/// The name of a host.
pub(crate) fn name(number: usize) -> String {
    format!("sim{number:05}")
}

/// What a command prints on a host: so many bytes of numbered lines.
pub(crate) fn output(number: usize, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 32);
    let mut line = 0;
    while text.len() < bytes {
        line += 1;
        let _ = writeln!(text, "{} line {line}", name(number));
    }
    text.truncate(bytes);
    text
}
