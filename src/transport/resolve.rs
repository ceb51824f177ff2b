//! From a name to addresses.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::classify;
use super::target::Target;
use crate::outcome::{Failure, Phase};

/// The addresses of a host, in the system's order, each once. What hangs in the system's resolver hangs on a thread of its
/// own, which the program does not wait for.
pub(super) async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Failure> {
    let mut addresses = look_up(&target.address, target.port).await?;
    if addresses.is_empty() {
        return Err(Failure::new(Phase::Resolve, format!("`{}` has no address", target.address)));
    }
    if let Some(family) = target.settings.family {
        addresses.retain(|address| family.has(address));
        if addresses.is_empty() {
            let cause = format!("`{}` has no {family} address", target.address);
            return Err(Failure::new(Phase::Resolve, cause).hint("see `AddressFamily` and `BindAddress` of ssh_config"));
        }
    }
    Ok(addresses)
}

async fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let asked = name.to_owned();
    let found = blocking::unblock(move || (asked.as_str(), port).to_socket_addrs().map(Vec::from_iter)).await;
    let mut addresses: Vec<SocketAddr> = found.map_err(|error| classify::resolve(name, &error))?;
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    Ok(addresses)
}
