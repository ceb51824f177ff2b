//! `README.zh-CN.md` says what `README.md` says, and a page of `docs/zh/` what that of `docs/` says: the same headings, commands, names
//! and tables, section by section.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A section: its heading with its level, and the lines below it.
struct Section {
    level: usize,
    title: String,
    lines: Vec<String>,
}

fn sections(name: &str) -> Vec<Section> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let mut sections: Vec<Section> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let level = line.bytes().take_while(|b| *b == b'#').count();
        if !fenced && level > 0 && line[level..].starts_with(' ') {
            sections.push(Section { level, title: line[level..].trim().to_owned(), lines: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line.to_owned());
        }
    }
    sections
}

impl Section {
    /// Lines of code, fenced or indented.
    fn code(&self) -> Vec<&str> {
        let mut fenced = false;
        let mut code = Vec::new();
        for line in &self.lines {
            let fence = line.starts_with("```");
            fenced ^= fence;
            if fence || fenced || line.starts_with("    ") {
                code.push(line.as_str());
            }
        }
        code
    }

    /// First cells of tables, but for their heads.
    fn rows(&self) -> Vec<&str> {
        let rows: Vec<&str> =
            self.lines.iter().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
        rows.into_iter().skip(1).collect()
    }

    fn items(&self) -> usize {
        self.lines.iter().filter(|line| line.starts_with("- ")).count()
    }

    /// What stands between backticks, and where links lead.
    fn names(&self) -> BTreeSet<String> {
        let code = self.code();
        let text: String = self
            .lines
            .iter()
            .filter(|line| !code.contains(&line.as_str()))
            .fold(String::new(), |all, line| all + line + " ");
        let spans = text.split('`').skip(1).step_by(2).map(str::to_owned);
        // Each leads to pages in its own language, and is elsewhere.
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()?.rsplit('/').next());
        // Of a pair, each leads to the other.
        spans.chain(links.map(str::to_owned)).filter(|name| !name.starts_with("README")).collect()
    }
}

/// Pages in English and in Chinese.
fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("README.md".to_owned(), "README.zh-CN.md".to_owned())];
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/zh")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        pages.push((format!("docs/{name}"), format!("docs/zh/{name}")));
    }
    assert!(pages.len() > 5, "{pages:?}");
    pages
}

/// First cells are names, or words that are translated.
fn same_rows(ours: &[&str], theirs: &[&str]) -> bool {
    let same = |(ours, theirs): (&&str, &&str)| ours == theirs || !theirs.is_ascii();
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
}

#[test]
fn the_chinese_pages_keep_in_step() {
    for (english, chinese) in pages() {
        keeps_in_step(&english, &chinese);
    }
}

#[track_caller]
fn keeps_in_step(english: &str, chinese: &str) {
    let page = chinese;
    let (english, chinese) = (sections(english), sections(chinese));
    let titles = |sections: &[Section]| -> Vec<String> {
        sections.iter().map(|section| format!("{} {}", "#".repeat(section.level), section.title)).collect()
    };
    let levels = |sections: &[Section]| -> Vec<usize> { sections.iter().map(|section| section.level).collect() };
    assert_eq!(levels(&english), levels(&chinese), "{:#?}\n{:#?}", titles(&english), titles(&chinese));
    for (ours, theirs) in english.iter().zip(&chinese) {
        let place = format!("section `{}`, in {page} `{}`", ours.title, theirs.title);
        assert_eq!(ours.code(), theirs.code(), "code of {place}");
        assert!(same_rows(&ours.rows(), &theirs.rows()), "tables of {place}: {:#?}\n{:#?}", ours.rows(), theirs.rows());
        assert_eq!(ours.items(), theirs.items(), "list of {place}");
        let (ours, theirs) = (ours.names(), theirs.names());
        let missing: Vec<&String> = ours.difference(&theirs).collect();
        let more: Vec<&String> = theirs.difference(&ours).collect();
        assert!(missing.is_empty() && more.is_empty(), "{place}: {page} lacks {missing:?}, and has {more:?} alone");
    }
}

#[test]
fn each_leads_to_the_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (english, chinese) in pages() {
        for (from, to) in [(&english, &chinese), (&chinese, &english)] {
            let text = fs::read_to_string(root.join(from)).unwrap();
            let here = root.join(from).parent().unwrap().to_owned();
            let other = root.join(to).canonicalize().unwrap();
            let mut there = false;
            for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let path = here.join(target).canonicalize();
                there |= path.as_ref().is_ok_and(|path| *path == other);
                assert!(path.is_ok(), "{from} links to {target}");
            }
            assert!(there, "{from} does not lead to {to}");
        }
    }
}
