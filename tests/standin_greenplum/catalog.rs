//! `gp_segment_configuration`: a coordinator and its standby have it in `standin.catalog`.

use std::fs;

use crate::data::Data;
use crate::segd;

/// A row of `gp_segment_configuration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) dbid: i32,
    pub(crate) content: i32,
    pub(crate) role: String,
    pub(crate) preferred: String,
    pub(crate) mode: String,
    pub(crate) status: String,
    pub(crate) port: u16,
    pub(crate) host: String,
    pub(crate) address: String,
    pub(crate) data: String,
}

impl Row {
    /// `dbid|content|role|preferred_role|mode|status|port|hostname|address|datadir`.
    fn parse(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.split('|').collect();
        let [dbid, content, role, preferred, mode, status, port, host, address, data] = parts[..] else { return None };
        Some(Self {
            dbid: dbid.parse().ok()?,
            content: content.parse().ok()?,
            role: role.to_owned(),
            preferred: preferred.to_owned(),
            mode: mode.to_owned(),
            status: status.to_owned(),
            port: port.parse().ok()?,
            host: host.to_owned(),
            address: address.to_owned(),
            data: data.to_owned(),
        })
    }

    pub(crate) fn line(&self) -> String {
        let Self { dbid, content, role, preferred, mode, status, port, host, address, data } = self;
        format!("{dbid}|{content}|{role}|{preferred}|{mode}|{status}|{port}|{host}|{address}|{data}")
    }

    /// Asks this instance's node about it.
    pub(crate) fn ask(&self, verb: &str) -> bool {
        segd::ask(&self.host, &format!("{verb} {}", self.data)).as_deref() == Some("yes")
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.role == "p"
    }
}

/// The rows, in the order of the file.
pub(crate) fn rows(data: &Data) -> Vec<Row> {
    let text = fs::read_to_string(data.0.join("standin.catalog")).unwrap_or_default();
    text.lines().filter_map(Row::parse).collect()
}

/// Those of segments.
pub(crate) fn segments(data: &Data) -> Vec<Row> {
    rows(data).into_iter().filter(|row| row.content >= 0).collect()
}

/// Writes the rows here, and at the standby where it streams: the real one gets them with the log.
pub(crate) fn write(data: &Data, rows: &[Row]) {
    let lines: Vec<String> = rows.iter().map(Row::line).collect();
    write_text(data, &lines.join("\n"));
    if let Some(standby) =
        rows.iter().find(|row| row.content < 0 && !row.is_primary() && row.data != data.0.display().to_string())
    {
        let _ = segd::ask(&standby.host, &format!("catalog {} {}", standby.data, lines.join(";")));
    }
}

pub(crate) fn write_text(data: &Data, text: &str) {
    let new = data.0.join("standin.catalog.new");
    if fs::write(&new, format!("{text}\n")).is_ok() {
        let _ = fs::rename(new, data.0.join("standin.catalog"));
    }
}
