//! `standin.conf` beside the programs: where things lie, and the misbehaviours a test asks for.
//!
//! It is read again whenever it matters, so that a test can change it under running programs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The values of the file, with the defaults filled in.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a misbehaviour of its own")]
pub(crate) struct Conf {
    /// `olr.loc`; the start marks lie beside it.
    pub(crate) olr_loc: PathBuf,
    /// Where the alert log goes.
    pub(crate) oracle_base: Option<PathBuf>,
    /// The release: 11 for 11.2, 12, 19, 21.
    pub(crate) version: u32,
    /// Oracle Restart: one node, which is its owner's.
    pub(crate) restart: bool,
    /// Who owns it; of a cluster that is root.
    pub(crate) owner: String,
    /// crsctl speaks Chinese.
    pub(crate) chinese: bool,
    /// From one stage to the next.
    pub(crate) delay: Duration,
    /// Programs that never come up.
    pub(crate) never: Vec<String>,
    /// Programs that run but are never of use: `ocssd.bin` without voting disks, `crsd.bin` without OCR.
    pub(crate) hollow: Vec<String>,
    /// Programs that end by themselves soon after they came up, so often that ohasd starts them no more.
    pub(crate) dies: Vec<String>,
    /// Programs that ohasd does not start again once they have ended.
    pub(crate) gives_up: Vec<String>,
    /// Programs that do not end when they are asked to.
    pub(crate) stuck: Vec<String>,
    /// Verbs of crsctl that never answer.
    pub(crate) hang: Vec<String>,
    /// `crsctl start crs` fails: `1` without a reason, `6706` patched by half, `1705` too few voting files.
    pub(crate) start_fails: String,
    /// What `crsctl check crs` says instead: `4692` exclusive mode, `4544` no socket, `library` missing.
    pub(crate) check_says: String,
    /// Whether crsctl starts and stops for root only, as the real one does.
    pub(crate) needs_root: bool,
    /// There is no ASM: the OCR lies on a cluster file system.
    pub(crate) without_asm: bool,
}

impl Conf {
    /// Reads the text of the file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once('=').ok_or_else(|| format!("no '=' in `{line}`"))?;
            keys.insert(key.trim(), value.trim());
        }
        let mut list = |key: &str| -> Vec<String> {
            let value = keys.remove(key).unwrap_or_default();
            value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let (never, hollow, dies, stuck, hang) =
            (list("never"), list("hollow"), list("dies"), list("stuck"), list("hang"));
        let gives_up = list("gives_up");
        let mut flag = |key: &str| match keys.remove(key) {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(other) => Err(format!("{key}={other} is neither 0 nor 1")),
        };
        let (needs_root, without_asm) = (flag("needs_root")?, flag("without_asm")?);
        let (restart, chinese) = (flag("restart")?, flag("chinese")?);
        let delay: f64 = keys.remove("delay").unwrap_or("0.02").parse().map_err(|_| "delay makes no sense")?;
        let version = keys.remove("version").unwrap_or("19");
        let version = version.split('.').next().unwrap_or_default();
        let conf = Self {
            olr_loc: keys.remove("olr_loc").ok_or("no olr_loc")?.into(),
            oracle_base: keys.remove("oracle_base").map(PathBuf::from),
            version: version.parse().map_err(|_| format!("version={version} is no release"))?,
            restart,
            owner: keys.remove("owner").unwrap_or("root").to_owned(),
            chinese,
            delay: Duration::try_from_secs_f64(delay).map_err(|error| format!("delay: {error}"))?,
            never,
            hollow,
            dies,
            gives_up,
            stuck,
            hang,
            start_fails: keys.remove("start_fails").unwrap_or_default().to_owned(),
            check_says: keys.remove("check_says").unwrap_or_default().to_owned(),
            needs_root,
            without_asm,
        };
        // A misspelt key would be a misbehaviour that never happens, and a test that passes for that reason.
        keys.into_keys().next().map_or(Ok(conf), |key| Err(format!("unknown key `{key}`")))
    }
}
