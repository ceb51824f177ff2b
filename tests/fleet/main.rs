//! A simulated fleet: tens of thousands of hosts on 127.x.y.z that speak SSH, in one process.
//!
//!     cargo run --bin fleet -- --hosts 1000 --dir /tmp/fleet --rule 'all latency=50ms' --rule '7 fault=reset@kex'
//!
//! Writes `hosts`, `known_hosts`, `key` and `record` into the directory and prints `ready PORT`. A line on standard input
//! is answered with the numbers so far; the end of it is the end of the fleet.

mod command;
mod plan;
mod record;
mod server;
mod wire;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use plan::{Fault, Plan, Rule};
use record::Record;
use server::World;

#[derive(Debug, Parser)]
struct Options {
    /// How many hosts there are.
    #[arg(long)]
    hosts: usize,
    /// Where the files for clients go.
    #[arg(long)]
    dir: PathBuf,
    /// What some hosts do: `HOSTS NAME=VALUE...`, with `all`, a number or a range of numbers.
    #[arg(long = "rule")]
    rules: Vec<Rule>,
    /// Something goes wrong on some hosts, at random from this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// On how many of them, in percent.
    #[arg(long, default_value_t = 40)]
    share: u8,
    /// Keep only the numbers, and no record.
    #[arg(long)]
    no_record: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let plans = plan::plans(options.hosts, &options.rules, options.seed.map(|seed| (seed, options.share)));
    let (port, listener) = (0..1_000)
        .find_map(|_| {
            // Apart from the ports of the lab's nodes, and of outgoing connections.
            let port = fastrand::u16(12_000..20_000);
            server::listen(port).ok().map(|listener| (port, listener))
        })
        .ok_or_else(|| io::Error::other("no free port on the loopback device"))?;
    let (host, other, client) = (new_key(), new_key(), new_key());
    write_files(options, &plans, port, &host, &client)?;
    let record = (!options.no_record).then(|| options.dir.join("record"));
    let record = Record::new(record.as_deref())?;
    let world = Arc::new(World::new(plans, record, host, other, client.public_key().clone()));

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let serving = world.clone();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
        loop {
            // Out of descriptors is a moment's trouble: somebody will hang up.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            };
            tokio::spawn(serving.clone().serve(stream));
        }
    });
    let mut out = io::stdout().lock();
    writeln!(out, "ready {port}")?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        line?;
        world.record.flush()?;
        writeln!(out, "{}", world.record.numbers())?;
        out.flush()?;
    }
    world.record.flush()?;
    runtime.shutdown_background();
    world.record.flush()
}

fn new_key() -> PrivateKey {
    let mut seed = [0; 32];
    seed.fill_with(|| fastrand::u8(..));
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), "fleet").expect("the key has a public part")
}

/// What clients need to know.
fn write_files(options: &Options, plans: &[Plan], port: u16, host: &PrivateKey, client: &PrivateKey) -> io::Result<()> {
    fs::create_dir_all(&options.dir)?;
    let shown = host.public_key().to_openssh().map_err(io::Error::other)?;
    let (mut hosts, mut known) = (String::new(), String::new());
    for (index, plan) in plans.iter().enumerate() {
        let (name, address) = (plan::name(index + 1), plan::address(index + 1));
        // Nothing listens at port 1.
        let port = if plan.fault == Some(Fault::Refuse) { 1 } else { port };
        let _ = writeln!(hosts, "{name} address={address} port={port} user=sim");
        let _ = writeln!(known, "[{address}]:{port} {shown}");
    }
    fs::write(options.dir.join("hosts"), hosts)?;
    fs::write(options.dir.join("known_hosts"), known)?;
    let key = options.dir.join("key");
    fs::write(&key, client.to_openssh(LineEnding::LF).map_err(io::Error::other)?.as_bytes())?;
    fs::set_permissions(key, fs::Permissions::from_mode(0o600))?;
    fs::write(options.dir.join("key.pub"), client.public_key().to_openssh().map_err(io::Error::other)?)
}
