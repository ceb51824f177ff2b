//! `cm_server`: hears the agents, elects a primary among its peers and says what the cluster is.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::conf::{Conf, Misbehaviour};
use crate::home::{Home, MANUAL_PAUSE, datanode_id};
use crate::log::Log;
use crate::wire::{self, Datanode};

/// How often peers are asked and arbitration is done.
const INTERVAL: Duration = Duration::from_millis(200);

/// Runs until somebody ends it.
pub(crate) fn run(home: &Home) -> ExitCode {
    let Ok(conf) = home.conf() else { return ExitCode::FAILURE };
    let mut log = Log::open(&conf.gausslog.join("cm/cm_server"), "cm_server");
    let listener = match conf.server(conf.node).map(TcpListener::bind) {
        Some(Ok(listener)) if !conf.does(Misbehaviour::CmServerNever) => listener,
        _ => {
            log.fatal(&format!("could not bind port {}: Address already in use", conf.agent_port));
            return ExitCode::FAILURE;
        }
    };
    let view = Arc::new(Mutex::new(View::new(home.clone(), conf.clone())));
    for &peer in conf.cm_servers.iter().filter(|peer| **peer != conf.node) {
        if let Some(address) = conf.server(peer) {
            let view = Arc::clone(&view);
            thread::spawn(move || follow(peer, address, &view));
        }
    }
    let arbiter = Arc::clone(&view);
    thread::spawn(move || {
        loop {
            if let Some(news) = lock(&arbiter).arbitrate() {
                log.say(&news);
            }
            thread::sleep(INTERVAL);
        }
    });
    for stream in listener.incoming().flatten() {
        let view = Arc::clone(&view);
        thread::spawn(move || serve(&stream, &view));
    }
    ExitCode::FAILURE
}

fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps asking one peer.
fn follow(peer: u32, address: SocketAddr, view: &Mutex<View>) {
    loop {
        if !lock(view).conf.does(Misbehaviour::Isolated)
            && let Some(pong) = wire::ask(address, "ping").ok().as_deref().and_then(Pong::parse)
        {
            lock(view).peers.insert(peer, (Instant::now(), pong));
        }
        thread::sleep(INTERVAL);
    }
}

fn serve(stream: &TcpStream, view: &Mutex<View>) {
    let _ = wire::answer(stream, |question| {
        let words: Vec<_> = question.split_ascii_whitespace().collect();
        if let ["switchover", node] = words[..] {
            return switch_over(node.parse().unwrap_or_default(), view);
        }
        let mut view = lock(view);
        if view.conf.does(Misbehaviour::Isolated) {
            return String::new();
        }
        match words[..] {
            ["ping"] => view.pong().to_string(),
            ["report", node, state] => {
                if let (Ok(node), Some(state)) = (node.parse(), Datanode::from_word(state)) {
                    view.reports.insert(node, (Instant::now(), state));
                }
                String::new()
            }
            ["query"] => view.describe(),
            ["promoted", ..] => {
                if let Ok(promotion) = words[1..].join(" ").parse() {
                    view.learn(promotion);
                }
                String::new()
            }
            _ => String::new(),
        }
    });
}

/// Does a switchover. It is done once the peers know, as DCC has a change on a majority before it is one.
fn switch_over(node: u32, view: &Mutex<View>) -> String {
    let (answer, promotion, peers) = {
        let mut view = lock(view);
        let answer = view.switch_over(node);
        let peers = view.conf.cm_servers.iter().filter(|peer| **peer != view.conf.node);
        let peers: Vec<SocketAddr> = peers.filter_map(|peer| view.conf.server(*peer)).collect();
        (answer, view.promotion, peers)
    };
    if answer == "ok" {
        for peer in peers {
            let _ = wire::ask(peer, &format!("promoted {promotion}"));
        }
    }
    answer
}

/// The node of the primary datanode: what DCC would replicate. The latest counts.
#[derive(Debug, Clone, Copy, Default)]
struct Promotion {
    node: Option<u32>,
    /// How many there have been.
    number: u64,
}

impl std::str::FromStr for Promotion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (node, number) = text.trim().split_once(' ').ok_or(())?;
        let (node, number) = (node.parse().map_err(drop)?, number.parse().map_err(drop)?);
        Ok(Self { node: Some(node).filter(|node| *node != 0), number })
    }
}

impl std::fmt::Display for Promotion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.node.unwrap_or(0), self.number)
    }
}

/// What peers tell each other.
#[derive(Debug, Clone, Copy)]
struct Pong {
    /// The peer is the primary `cm_server`.
    primary: bool,
    promotion: Promotion,
}

impl Pong {
    fn parse(text: &str) -> Option<Self> {
        let (role, promotion) = text.split_once(' ')?;
        Some(Self { primary: role == "primary", promotion: promotion.parse().ok()? })
    }
}

impl std::fmt::Display for Pong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = if self.primary { "primary" } else { "standby" };
        write!(f, "{role} {}", self.promotion)
    }
}

/// What one `cm_server` knows.
struct View {
    home: Home,
    conf: Conf,
    peers: HashMap<u32, (Instant, Pong)>,
    reports: HashMap<u32, (Instant, Datanode)>,
    born: Instant,
    /// For whom it voted last, also before it was started: DCC keeps that.
    voted: Option<u32>,
    /// Since when this one is the primary.
    primary: Option<Instant>,
    /// The node whose datanode is primary.
    promotion: Promotion,
}

impl View {
    fn new(home: Home, conf: Conf) -> Self {
        let voted = fs::read_to_string(conf.vote()).ok().and_then(|text| text.trim().parse().ok());
        let (peers, reports) = (HashMap::new(), HashMap::new());
        Self { home, conf, peers, reports, born: Instant::now(), voted, primary: None, promotion: Promotion::default() }
    }

    fn pong(&self) -> Pong {
        Pong { primary: self.primary.is_some(), promotion: self.promotion }
    }

    /// Who leads, if a majority is there to agree: the one who already does, or did; another one only when that one has not
    /// come for long enough.
    fn leader(&self) -> Option<(u32, Pong)> {
        let fresh = self.peers.iter().filter(|(_, (heard, _))| heard.elapsed() < self.conf.stale);
        let mut present: Vec<_> = fresh.map(|(node, (_, pong))| (*node, *pong)).collect();
        present.push((self.conf.node, self.pong()));
        present.sort_unstable_by_key(|(node, _)| *node);
        if present.len() * 2 <= self.conf.cm_servers.len() {
            return None;
        }
        let former = |node: &(u32, Pong)| Some(node.0) == self.voted;
        let leads = present.iter().find(|(_, pong)| pong.primary).or_else(|| present.iter().find(|node| former(node)));
        if leads.is_none() && self.voted.is_some() && self.born.elapsed() < self.conf.vote_wait {
            return None;
        }
        leads.or(present.first()).copied()
    }

    fn vote(&mut self, leader: Option<u32>) {
        if leader.is_none() || leader == self.voted {
            return;
        }
        self.voted = leader;
        let path = self.conf.vote();
        // A lost vote is a quicker election, no harm to a test.
        let _ = path.parent().map(fs::create_dir_all);
        let _ = fs::write(path, leader.unwrap_or_default().to_string());
    }

    /// One round of election and arbitration; returns what is worth a line in the log.
    fn arbitrate(&mut self) -> Option<String> {
        if let Ok(conf) = self.home.conf() {
            self.conf = conf;
        }
        let leader = self.leader();
        self.vote(leader.map(|(node, _)| node));
        if leader.map(|(node, _)| node) != Some(self.conf.node) {
            if let Some((_, pong)) = leader {
                self.learn(pong.promotion);
            }
            return self.primary.take().map(|_| "cm_server is standby now.".to_owned());
        }
        // One that was started again has it of the others: DCC keeps it.
        let others: Vec<Promotion> = self.peers.values().map(|(_, pong)| pong.promotion).collect();
        for promotion in others {
            self.learn(promotion);
        }
        if self.primary.is_none() {
            self.primary = Some(Instant::now());
            return Some("cm_server is primary now.".to_owned());
        }
        // A paused cluster promotes nobody: it neither comes up nor fails over (facts 1.10).
        if self.promoted_is_up() || !self.elected() || self.paused() {
            return None;
        }
        let next = self.conf.datanodes.iter().copied().filter(|node| self.state(*node) == Datanode::Up).min()?;
        self.promote(next);
        Some(format!("failover to instance {}.", datanode_id(next)))
    }

    /// Election and arbitration take their time; until then the cluster is Unavailable (measured 1.7).
    fn elected(&self) -> bool {
        self.primary.is_some_and(|since| since.elapsed() >= self.conf.election + self.conf.slow)
    }

    fn paused(&self) -> bool {
        self.home.has(MANUAL_PAUSE)
    }

    /// What the agent of a node said last, unless that was long ago.
    fn state(&self, node: u32) -> Datanode {
        let fresh = self.reports.get(&node).filter(|(heard, _)| heard.elapsed() < self.conf.stale);
        fresh.map_or(Datanode::Down, |(_, state)| *state)
    }

    /// Makes the datanode of a node the primary, as DCC's leader does for `cm_ctl switchover`.
    fn switch_over(&mut self, node: u32) -> String {
        if self.primary.is_none() || !self.elected() || self.state(node) != Datanode::Up {
            return "no".to_owned();
        }
        self.promote(node);
        "ok".to_owned()
    }

    fn promote(&mut self, node: u32) {
        self.promotion = Promotion { node: Some(node), number: self.promotion.number + 1 };
    }

    /// Takes over what somebody else knows, where it is newer.
    fn learn(&mut self, promotion: Promotion) {
        if promotion.number > self.promotion.number {
            self.promotion = promotion;
        }
    }

    fn promoted_is_up(&self) -> bool {
        self.promotion.node.is_some_and(|node| self.state(node) == Datanode::Up)
    }

    fn cluster_state(&self) -> &'static str {
        let all_up = self.conf.datanodes.iter().all(|node| self.state(*node) == Datanode::Up);
        if !self.elected() || !self.promoted_is_up() {
            "Unavailable"
        } else if all_up && !self.conf.does(Misbehaviour::Degraded) {
            "Normal"
        } else {
            "Degraded"
        }
    }

    /// Everything `cm_ctl query` prints, as `key=value` lines.
    fn describe(&self) -> String {
        let yes = |yes: bool| if yes { "Yes" } else { "No" };
        let role = if self.primary.is_some() { "Primary" } else { "Standby" };
        let balanced = self.promotion.node == self.conf.datanodes.iter().copied().min();
        let mut text = format!(
            "role={role}\nstate={}\nbalanced={}\npausing={}\n",
            self.cluster_state(),
            yes(balanced),
            yes(self.paused()),
        );
        for &node in &self.conf.datanodes {
            let (role, state) = match self.state(node) {
                Datanode::Up if self.promotion.node == Some(node) => ("Primary", "Normal"),
                Datanode::Up if self.promoted_is_up() => ("Standby", "Normal"),
                Datanode::Up => ("Pending", "Normal"),
                Datanode::ManuallyStopped => ("Down", "Manually stopped"),
                Datanode::DiskDamaged => ("Down", "Disk damaged"),
                Datanode::PortConflicting => ("Down", "Port conflicting"),
                Datanode::Down => ("Down", "Unknown"),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "dn={node}:{role}:{state}");
        }
        text
    }
}
