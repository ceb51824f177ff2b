//! `standin.conf`: the cluster, and the misbehaviours a test asks for.
//!
//! It takes the place of the binary `cluster_static_config`. It is read again whenever it matters, so that a test can
//! change it under running programs.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::home::Home;

/// Something wrong that a test can ask a program to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misbehaviour {
    /// `cm_agent` exits 1 shortly after each start.
    CrashLoop,
    /// `cm_server` dies at once, as when its port is taken.
    CmServerNever,
    /// The cluster stays Degraded although all is up.
    Degraded,
    /// `cm_agent` sees the marker and does not go away.
    StoppingForever,
    /// `/bin/sh` is dash: `cm_server` runs, no datanode is ever started (measured, second reading 4).
    Dash,
    /// `gaussdb` does not end at a fast shutdown, only when it is killed (second reading 6).
    Hang,
    /// The network between this node and the others is cut: no `cm_server` is reached, and this one's reaches nobody.
    Isolated,
    /// `cm_ctl query` reaches no `cm_server` from this node; the rest of the node does.
    Blind,
    /// The node's address went away while the agent ran: it lives on, `cm_server` and the datanode go (second reading 5).
    NicDown,
    /// The node's address is missing when the agent starts: it dies with status 1 every few seconds (second reading 5).
    NoAddress,
    /// Somebody else listens on the datanode's port.
    PortConflict,
    /// `py_pstree.py` is missing: the agent dies in the middle of each stop (measured 1.6).
    NoPstree,
}

impl Misbehaviour {
    /// Each with its key.
    const ALL: [(&str, Self); 12] = [
        ("crash_loop", Self::CrashLoop),
        ("cm_server_never", Self::CmServerNever),
        ("degraded", Self::Degraded),
        ("stopping_forever", Self::StoppingForever),
        ("dash", Self::Dash),
        ("hang", Self::Hang),
        ("isolated", Self::Isolated),
        ("blind", Self::Blind),
        ("nic_down", Self::NicDown),
        ("no_address", Self::NoAddress),
        ("port_conflict", Self::PortConflict),
        ("no_pstree", Self::NoPstree),
    ];
}

/// The values of the file, with the defaults filled in.
#[derive(Debug, Clone)]
pub(crate) struct Conf {
    /// This node, counted from 1.
    pub(crate) node: u32,
    /// The addresses of all nodes, in order.
    pub(crate) nodes: Vec<IpAddr>,
    /// Where the `cm_server` of each node listens, on the node's own address.
    pub(crate) agent_port: u16,
    /// GAUSSLOG.
    pub(crate) gausslog: PathBuf,
    /// What `om_monitor` demands of `RLIMIT_NOFILE`; the real one wants 640000.
    pub(crate) nofile_min: u64,
    /// The nodes that have a `cm_server`.
    pub(crate) cm_servers: Vec<u32>,
    /// The nodes that have a datanode.
    pub(crate) datanodes: Vec<u32>,
    /// How much later each stage of a start comes.
    pub(crate) slow: Duration,
    /// From the primary `cm_server` to the first arbitration; really about 8 s (measured 1.7).
    pub(crate) election: Duration,
    /// How long a `cm_server` whose last vote was for another one leaves the election to it; really 60 s (second reading 1).
    pub(crate) vote_wait: Duration,
    /// Who was not heard of for so long is down. Longer than one lost round on a busy machine.
    pub(crate) stale: Duration,
    /// How long a query takes while no primary `cm_server` is found; really up to 6 s (second reading 9).
    pub(crate) query_delay: Duration,
    /// How long an agent without its address lives; really 7 s (second reading 5).
    pub(crate) mes_wait: Duration,
    /// From the last instance gone to the agent's exit; a real stop takes 8.8 s (measured 1.2).
    pub(crate) stop_delay: Duration,
    /// The shell of `cm_ctl check`, whose `echo -e` decides what it reads (measured 1.1).
    pub(crate) sh: PathBuf,
    /// False: `cm_ctl` behaves as if `cluster_static_config` were missing.
    pub(crate) static_config: bool,
    /// False: `cm_ctl view` fails.
    pub(crate) view: bool,
    /// True: `cm_ctl` needs its `LD_LIBRARY_PATH`, as the real one does.
    pub(crate) needs_env: bool,
    misbehaviours: Vec<Misbehaviour>,
    cm_data: Template,
    dn: Template,
}

impl Conf {
    /// Reads the file beside the programs of `home`.
    pub(crate) fn load(home: &Home) -> Result<Self, String> {
        let path = home.bin("standin.conf");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text, home).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str, home: &Home) -> Result<Self, String> {
        let mut keys = Keys::read(text)?;
        let node = keys.take("node")?.ok_or("no node")?;
        let nodes = keys.list("nodes")?.ok_or("no nodes")?;
        let agent_port = keys.take("agent_port")?.ok_or("no agent_port")?;
        let all: Vec<u32> = (1..).take(nodes.len()).collect();
        if !all.contains(&node) {
            return Err(format!("node {node} is not one of {} nodes", nodes.len()));
        }
        let beside = home.root.parent().unwrap_or(&home.root).to_path_buf();
        let cm_data = Template(keys.take("cm_data")?.unwrap_or_else(|| beside.join("cm").display().to_string()));
        let dn = Template(keys.take("dn")?.unwrap_or_else(|| cm_data.sibling("dn1")));
        let gausslog = keys.take("gausslog")?.or_else(|| env::var_os("GAUSSLOG").map(PathBuf::from));
        let conf = Self {
            node,
            nodes,
            agent_port,
            gausslog: gausslog.unwrap_or_else(|| beside.join("log")),
            nofile_min: keys.take("nofile_min")?.unwrap_or(1),
            cm_servers: keys.list("cm_servers")?.unwrap_or_else(|| all.clone()),
            datanodes: keys.list("datanodes")?.unwrap_or(all),
            slow: keys.seconds("slow", 0.0)?,
            election: keys.seconds("election", 2.0)?,
            vote_wait: keys.seconds("vote_wait", 4.0)?,
            stale: keys.seconds("stale", 2.0)?,
            query_delay: keys.seconds("query_delay", 0.0)?,
            mes_wait: keys.seconds("mes_wait", 1.0)?,
            stop_delay: keys.seconds("stop_delay", 1.0)?,
            sh: keys.take("sh")?.unwrap_or_else(|| PathBuf::from("/bin/sh")),
            static_config: keys.flag("static_config", true)?,
            view: keys.flag("view", true)?,
            needs_env: keys.flag("needs_env", true)?,
            misbehaviours: keys.misbehaviours()?,
            cm_data,
            dn,
        };
        keys.finish()?;
        Ok(conf)
    }

    /// Whether a test asked for this.
    pub(crate) fn does(&self, misbehaviour: Misbehaviour) -> bool {
        self.misbehaviours.contains(&misbehaviour)
    }

    /// The address of a node, counted from 1.
    pub(crate) fn ip(&self, node: u32) -> Option<IpAddr> {
        let index = usize::try_from(node.checked_sub(1)?).ok()?;
        self.nodes.get(index).copied()
    }

    /// Where the `cm_server` of a node listens.
    pub(crate) fn server(&self, node: u32) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip(node)?, self.agent_port))
    }

    /// The cmDataPath of a node.
    pub(crate) fn cm_data(&self, node: u32) -> PathBuf {
        self.cm_data.path(node)
    }

    /// The data directory of a node; its datanode is "Disk damaged" without it (measured 1.6).
    pub(crate) fn dn(&self, node: u32) -> PathBuf {
        self.dn.path(node)
    }

    /// Where the `cm_server` of this node keeps for whom it voted last, as DCC's store does.
    pub(crate) fn vote(&self) -> PathBuf {
        self.cm_data(self.node).join("dcc/vote")
    }

    /// The file that `om_monitor` must be able to read before it starts an agent (facts 2).
    pub(crate) fn agent_conf(&self) -> PathBuf {
        self.cm_data(self.node).join("cm_agent/cm_agent.conf")
    }
}

/// A path in which `{node}` stands for the number of a node: nodes of a lab may share one file system.
#[derive(Debug, Clone)]
struct Template(String);

impl Template {
    fn path(&self, node: u32) -> PathBuf {
        PathBuf::from(self.0.replace("{node}", &node.to_string()))
    }

    fn sibling(&self, name: &str) -> String {
        Path::new(&self.0).with_file_name(name).display().to_string()
    }
}

/// The lines of the file that nobody has asked for yet.
struct Keys(BTreeMap<String, String>);

impl Keys {
    fn read(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pairs = lines.map(|line| {
            let (key, value) = line.split_once('=').ok_or_else(|| format!("no '=' in `{line}`"))?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        });
        pairs.collect::<Result<_, String>>().map(Self)
    }

    fn take<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, String> {
        let Some(value) = self.0.remove(key) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| format!("{key}={value} makes no sense"))
    }

    /// An empty value is an empty list.
    fn list<T: FromStr>(&mut self, key: &str) -> Result<Option<Vec<T>>, String> {
        let Some(value) = self.0.remove(key) else { return Ok(None) };
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        let parsed = items.map(|item| item.parse().map_err(|_| format!("{key}: `{item}` makes no sense")));
        parsed.collect::<Result<_, _>>().map(Some)
    }

    fn seconds(&mut self, key: &str, default: f64) -> Result<Duration, String> {
        let seconds = self.take(key)?.unwrap_or(default);
        Duration::try_from_secs_f64(seconds).map_err(|error| format!("{key}: {error}"))
    }

    fn flag(&mut self, key: &str, default: bool) -> Result<bool, String> {
        match self.0.remove(key).as_deref() {
            None => Ok(default),
            Some("1") => Ok(true),
            Some("0") => Ok(false),
            Some(other) => Err(format!("{key}={other} is neither 0 nor 1")),
        }
    }

    fn misbehaviours(&mut self) -> Result<Vec<Misbehaviour>, String> {
        let mut asked = Vec::new();
        for (key, misbehaviour) in Misbehaviour::ALL {
            if self.flag(key, false)? {
                asked.push(misbehaviour);
            }
        }
        Ok(asked)
    }

    /// A misspelt key would be a misbehaviour that never happens, and a test that passes for that reason.
    fn finish(self) -> Result<(), String> {
        self.0.into_keys().next().map_or(Ok(()), |key| Err(format!("unknown key `{key}`")))
    }
}
