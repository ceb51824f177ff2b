//! What the look before a start costs on a node where nothing is wrong, beside the look of `status`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::measure::{Cost, Job, cost, say};
use super::median;

macro_rules! scripts {
    ($($name:literal),*) => { concat!($(include_str!(concat!("../playbooks/opengauss/", $name))),*) };
}

const STATUS: &str = scripts!("lib.sh", "processes.sh", "view.sh", "agent.sh", "hints.sh", "node.sh");
const BEFORE_START: &str =
    scripts!("lib.sh", "processes.sh", "view.sh", "agent.sh", "logs.sh", "hints.sh", "obstacles.sh", "node.sh");
/// Looks in a row.
const TIMES: u32 = 10;

/// The look of `status`, and that of `start`, on this machine as a node.
pub(crate) fn looks(rounds: usize) -> io::Result<[Cost; 2]> {
    let dir = tempfile::tempdir()?;
    lay_out(dir.path())?;
    let mut costs = [const { Vec::new() }; 2];
    for round in 1..=rounds {
        for (script, costs) in [STATUS, BEFORE_START].iter().zip(&mut costs) {
            let base = dir.path().display();
            let text = format!("gausshome='{base}/app'\ngausslog='{base}/log'\nnode=1\nnofile_min=16\n{script}");
            // A program's argument is no longer than 128 KB, as it is on the nodes.
            fs::write(dir.path().join("look.sh"), text)?;
            let args = vec![dir.path().join("look.sh").into()];
            let job = Job { program: "sh".into(), args, dir: dir.path().to_owned(), ..Job::default() };
            let cost = cost(&job, TIMES)?;
            say(&format!("a look before a start, round {round}: {:.3?} CPU, {:.3?}", cost.cpu, cost.wall));
            costs.push(cost);
        }
    }
    Ok(costs.map(|costs| median(&costs)))
}

/// A stopped node of two.
fn lay_out(dir: &Path) -> io::Result<()> {
    for place in ["app/bin", "cm/cm_agent", "log/cm/om_monitor", "dn/base", "dn/global", "dn/pg_xlog", "dn/pg_tblspc"] {
        fs::create_dir_all(dir.join(place))?;
    }
    for program in ["om_monitor", "cm_agent", "cm_server", "gaussdb"] {
        fs::copy("/bin/sleep", dir.join("app/bin").join(program))?;
    }
    for (file, text) in [
        ("cm/cm_agent/cm_agent.conf", ""),
        ("app/bin/cluster_manual_start", ""),
        ("dn/base/1", ""),
        ("dn/global/pg_control", ""),
        ("dn/pg_xlog/1", ""),
        ("dn/PG_VERSION", "9.2\n"),
        ("dn/pg_hba.conf", ""),
        ("dn/postgresql.conf", "shared_buffers = 32MB\nmax_connections = 200\n"),
    ] {
        fs::write(dir.join(file), text)?;
    }
    fs::set_permissions(dir.join("dn"), fs::Permissions::from_mode(0o700))?;
    let base = dir.display();
    let view = format!(
        "#!/bin/sh\ncat <<'END'\nnode:1\nnodeName:one\nsshChannel 1:127.77.19.1\ncmDataPath :{base}/cm\ncmServer 1:127.77.19.1\n\
         port :15300\ndatanodeCount :1\ndatanodeLocalDataPath :{base}/dn\ndatanodeListenIP 1:127.77.19.1\ndatanodePort :15400\n\
         node :2\nnodeName:two\nsshChannel 1:127.77.19.2\ncmDataPath :/cm\ncmServer 1:127.77.19.2\nport :15300\ndatanodeCount :1\n\
         datanodeListenIP 1:127.77.19.2\ndatanodePort :15400\nEND\n"
    );
    fs::write(dir.join("app/bin/cm_ctl"), view)?;
    fs::set_permissions(dir.join("app/bin/cm_ctl"), fs::Permissions::from_mode(0o755))
}
