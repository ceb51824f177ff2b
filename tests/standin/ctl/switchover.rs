//! `cm_ctl switchover -n NODE -D DATA`: makes a standby the primary. The words of success are those of CM's source; nothing of
//! this was measured.

use super::Answer;
use crate::conf::Conf;
use crate::wire;

pub(super) fn switchover(conf: &Conf, options: &[String]) -> Answer {
    let value = |flag: &str| options.iter().position(|option| option == flag).and_then(|at| options.get(at + 1));
    let (Some(node), Some(data)) = (value("-n").and_then(|node| node.parse::<u32>().ok()), value("-D")) else {
        return Answer::refused(1, "cm_ctl: -n and -D are needed.\n");
    };
    if !conf.datanodes.contains(&node) || conf.dn(node).as_path() != std::path::Path::new(data) {
        return Answer::error(255, "cm_ctl: can't find the node_id, please check cluster_static_config.\n");
    }
    let question = format!("switchover {node}");
    let said = |server: &u32| wire::ask(conf.server(*server)?, &question).ok();
    if conf.cm_servers.iter().filter_map(said).any(|said| said == "ok") {
        return Answer::ok("cm_ctl: switchover successfully.\n".to_owned());
    }
    Answer::error(255, "cm_ctl: switchover failed.\n")
}
