//! Hosts to measure on: simulated ones, and real sshds. Everything that a tool needs to log in lies in one directory.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Hosts that are up. Dropped, they are gone.
pub(crate) struct Site {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    _own: Option<tempfile::TempDir>,
    /// Address of each host.
    addresses: Vec<String>,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) key: PathBuf,
    pub(crate) known_hosts: PathBuf,
}

/// Files that name the hosts of one measurement, for each tool in its own words.
pub(crate) struct Files {
    dir: tempfile::TempDir,
}

impl Site {
    /// Simulated hosts, with rules such as `all latency=50ms`.
    pub(crate) fn fleet(hosts: usize, rule: &str) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new(beside("fleet")?);
        command.arg("--hosts").arg(hosts.to_string()).arg("--dir").arg(dir.path()).arg("--no-record");
        if !rule.is_empty() {
            command.args(["--rule", rule]);
        }
        let (child, input, mut output) = start(&mut command)?;
        let mut ready = String::new();
        output.read_line(&mut ready)?;
        let port = ready.trim().strip_prefix("ready ").and_then(|port| port.parse().ok());
        let known = fs::read_to_string(dir.path().join("known_hosts"))?;
        let address =
            |line: &str| line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(at, _)| at.to_owned());
        Ok(Self {
            child,
            input,
            output,
            addresses: known.lines().filter_map(address).collect(),
            port: port.ok_or_else(|| io::Error::other(format!("the fleet said {ready:?}")))?,
            user: "sim".to_owned(),
            key: dir.path().join("key"),
            known_hosts: dir.path().join("known_hosts"),
            _own: Some(dir),
        })
    }

    /// One real sshd under the names of so many hosts.
    pub(crate) fn sshd(hosts: usize) -> io::Result<Self> {
        let mut command = Command::new(beside("lab")?);
        command.args(["up", "--no-opengauss", "--same-host", &hosts.to_string()]);
        let (child, input, mut output) = start(&mut command)?;
        let (mut text, mut line) = (String::new(), String::new());
        while line != "# ready\n" {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                return Err(io::Error::other("the lab did not come up"));
            }
            text.push_str(&line);
        }
        let word = |before: &str, after: &str| {
            let rest = text.split_once(before)?.1;
            Some(rest[..rest.find(after)?].to_owned())
        };
        let missing = || io::Error::other(format!("the lab said {text:?}"));
        let path = |name: &str| word(&format!("export {name}="), "\n").map(PathBuf::from).ok_or_else(missing);
        let address = word("#   node1 ", " ").ok_or_else(missing)?;
        let (address, port) = address.rsplit_once(':').ok_or_else(missing)?;
        Ok(Self {
            addresses: vec![address.to_owned(); hosts],
            port: port.parse().map_err(io::Error::other)?,
            user: word("user ", ",").ok_or_else(missing)?,
            key: path("LAB_KEY")?,
            known_hosts: path("LAB_KNOWN_HOSTS")?,
            child,
            input,
            output,
            _own: None,
        })
    }

    /// The files for the first so many hosts. `kex`: the one key exchange that everybody is to use.
    pub(crate) fn files(&self, hosts: usize, kex: Option<&str>) -> io::Result<Files> {
        let dir = tempfile::tempdir()?;
        let addresses = &self.addresses[..hosts];
        let one = addresses.iter().all(|address| *address == addresses[0]) && hosts > 1;
        // Tools that take a host only once must have a name for each; ssh is told where they are.
        let name = |at: usize| if one { format!("node{}", at + 1) } else { addresses[at].clone() };
        let names: Vec<String> = (0..hosts).map(name).collect();
        let lines = |line: &dyn Fn(usize) -> String| (0..hosts).map(|at| line(at) + "\n").collect::<String>();
        let (user, port, key) = (&self.user, self.port, self.key.display());
        let put = |file: &str, text: String| fs::write(dir.path().join(file), text);
        put("names", lines(&|at| names[at].clone()))?;
        put("addresses", lines(&|at| addresses[at].clone()))?;
        put("hosts", lines(&|at| format!("{} address={} port={port} user={user}", names[at], addresses[at])))?;
        put("inventory", lines(&|at| names[at].clone()))?;
        let mut config = if one { format!("Host node*\n HostName {}\n", addresses[0]) } else { String::new() };
        config += &format!(
            "Host *\n User {user}\n Port {port}\n IdentityFile {key}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n \
             GlobalKnownHostsFile {}\n StrictHostKeyChecking yes\n BatchMode yes\n ControlMaster no\n",
            self.known_hosts.display(),
            dir.path().join("none").display()
        );
        if let Some(kex) = kex {
            config += &format!(" KexAlgorithms {kex}\n");
        }
        put("config", config)?;
        put("ansible.cfg", "[defaults]\n".to_owned())?;
        let steps = [1, 2, 3, 4, 5].map(|n| format!("  - {{ name: step {n}, run: \"true\" }}\n")).concat();
        put("one.yaml", "name: one\nsummary: one step\nsteps:\n  - { name: step 1, run: \"true\" }\n".to_owned())?;
        put("five.yaml", format!("name: five\nsummary: five steps that do nothing\nsteps:\n{steps}"))?;
        Ok(Files { dir })
    }
}

impl Site {
    /// The first host's address.
    pub(crate) fn first(&self) -> String {
        self.addresses[0].clone()
    }

    /// One of the fleet's numbers so far, as `most_connections`.
    pub(crate) fn number(&mut self, name: &str) -> io::Result<u64> {
        let Some(input) = &mut self.input else { return Ok(0) };
        input.write_all(b"\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let number = line.split_once(&format!("\"{name}\":")).map(|(_, rest)| rest.trim_start());
        let digits = number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        digits
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| io::Error::other(format!("the fleet said {line:?}")))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

impl Files {
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A program that was built beside this one.
pub(crate) fn beside(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    path.canonicalize()
        .map_err(|error| io::Error::other(format!("{}: {error}; `make bench` builds it", path.display())))
}

/// Lets this process, and what it starts, have so many descriptors, or as many as it may have; how many that are.
pub(crate) fn descriptors(wanted: u64) -> u64 {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(wanted);
    let set = |count| setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: Some(count.max(hard)) });
    if set(wanted).is_ok() {
        return wanted;
    }
    let _ = set(hard);
    hard
}

fn start(command: &mut Command) -> io::Result<(Child, Option<ChildStdin>, BufReader<ChildStdout>)> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let mut input = child.stdin.take();
    if let Some(input) = &mut input {
        input.flush()?;
    }
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
    Ok((child, input, BufReader::new(output)))
}
