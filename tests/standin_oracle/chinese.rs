//! crsctl in Chinese: numbers and resource names stay, words and brackets do not (oracle-measured.md 3).

/// What was found word for word.
const KNOWN: [(&str, &str); 6] = [
    ("CRS-4638", "Oracle 高可用性服务联机"),
    ("CRS-4529", "集群同步服务联机"),
    ("CRS-4537", "集群就绪服务联机"),
    ("CRS-4533", "事件管理器联机"),
    ("CRS-4535", "无法与集群就绪服务通信"),
    ("CRS-4000", "命令失败, 或已完成但出现错误。"),
];

/// Messages in Chinese; tables stay as they are.
pub(crate) fn translate(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    let Some((code, words)) = line.split_once(": ").filter(|(code, _)| code.starts_with("CRS-")) else {
        return line.to_owned();
    };
    if let Some((_, known)) = KNOWN.iter().find(|(number, _)| *number == code) {
        return format!("{code}: {known}\n");
    }
    let quoted: Vec<&str> = words.split('\'').skip(1).step_by(2).collect();
    format!("{code}: 消息 {}\n", quoted.join(" (在) "))
}
