//! A file of genders, as pdsh and `nodeattr` read it: nodes, and their attributes.
//!
//! An attribute is a group of the nodes that have it. One with a value is a variable too, and a group `attribute=value`.
//! What pdsh does by itself holds here: `altname` is where a node is reached, and nodes with `pdsh_all_skip` are left out
//! where nobody names them.

use std::collections::HashSet;

use super::hostset::{MOST_HOSTS, expand};
use super::problem::{PieceError, quoted};
use super::settings;
use super::source::{HostLine, HostsSource};
use super::spec::{Spec, parse_spec};

/// The attribute that names the address.
const ALTNAME: &str = "altname";
/// The attribute of nodes that are not among all.
const SKIPPED: &str = "pdsh_all_skip";

/// Reads it.
pub(super) fn read(text: &str, file: &str) -> Result<HostsSource, (usize, PieceError)> {
    let mut reader = Reader {
        source: HostsSource { file: file.to_owned(), ..HostsSource::default() },
        given: HashSet::new(),
        skipped: HashSet::new(),
        warned: HashSet::new(),
    };
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        reader.line(number, line).map_err(|fault| (number, fault))?;
    }
    let Reader { mut source, skipped, .. } = reader;
    if !skipped.is_empty() {
        let names = source.lines.iter().flat_map(|line| &line.specs).map(|spec| &spec.host);
        source.usual = Some(names.filter(|name| !skipped.contains(*name)).cloned().collect());
    }
    Ok(source)
}

struct Reader {
    source: HostsSource,
    /// Attributes of nodes that were given already.
    given: HashSet<(String, String)>,
    /// Nodes with `pdsh_all_skip`.
    skipped: HashSet<String>,
    /// Attributes that were warned about already.
    warned: HashSet<String>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), PieceError> {
        let nodes = line.trim_start();
        if nodes.is_empty() {
            return Ok(());
        }
        let column = line[..line.len() - nodes.len()].chars().count() + 1;
        let (nodes, rest) = nodes.split_at(end_of_nodes(nodes));
        let attributes = rest.trim_start();
        let attributes_at = line[..line.len() - attributes.len()].chars().count() + 1;
        if let Some(blank) = attributes.find(char::is_whitespace) {
            let column = attributes_at + attributes[..blank].chars().count();
            return Err(PieceError::new(column, "a blank in the list of attributes")
                .hint("a line is `node[1-4] attribute,attribute=value`, without blanks in either"));
        }
        let specs = self.nodes(nodes, column)?;
        self.source.lines.push(HostLine { line: number, group: None, specs: specs.clone(), settings: Vec::new() });
        let mut at = attributes_at;
        for attribute in attributes.split(',').filter(|_| !attributes.is_empty()) {
            self.attribute(attribute, &specs, (number, at))?;
            at += attribute.chars().count() + 1;
        }
        Ok(())
    }

    fn nodes(&self, nodes: &str, column: usize) -> Result<Vec<Spec>, PieceError> {
        let mut specs = Vec::new();
        let wrong = |message, hint| PieceError { column, message, hint };
        let names = expand(nodes).map_err(|error| PieceError {
            column: column + error.column - 1,
            message: error.message,
            hint: error.hint,
        })?;
        for name in names {
            let spec = parse_spec(&name).map_err(|error| wrong(error.message, error.hint))?;
            if spec.user.is_some() || spec.port.is_some() {
                return Err(PieceError::new(column, format!("{} is more than a name", quoted(&name)))
                    .hint("in a file of genders a node is its name alone; -l and -p say user and port"));
            }
            specs.push(spec);
        }
        if self.source.lines.iter().map(|line| line.specs.len()).sum::<usize>() + specs.len() > MOST_HOSTS {
            return Err(PieceError::new(column, "the file has more than 1,000,000 hosts"));
        }
        Ok(specs)
    }

    fn attribute(&mut self, attribute: &str, specs: &[Spec], at: (usize, usize)) -> Result<(), PieceError> {
        let (name, value) = match attribute.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (attribute, None),
        };
        if name.is_empty() {
            return Err(PieceError::new(at.1, "an attribute without a name").hint("take a comma or `=` out"));
        }
        if value == Some("") {
            return Err(PieceError::new(at.1, format!("the attribute {} has no value", quoted(name)))
                .hint(format!("write `{name}` or `{name}=VALUE`")));
        }
        for spec in specs {
            if !self.given.insert((spec.host.clone(), name.to_owned())) {
                let message = format!("`{}` has the attribute {} already", spec.host, quoted(name));
                return Err(PieceError::new(at.1, message).hint("leave one of the two out"));
            }
        }
        let (number, _) = at;
        self.member(name, specs, at);
        if name == SKIPPED {
            self.skipped.extend(specs.iter().map(|spec| spec.host.clone()));
        }
        let Some(value) = value else { return Ok(()) };
        let key = if name == ALTNAME { "address" } else { name };
        let taken = self.takes(key, name, number);
        for spec in specs {
            let value = value.replace("%n", &spec.host).replace("%%", "%");
            let of_one = std::slice::from_ref(spec);
            self.member(&format!("{name}={value}"), of_one, at);
            if !taken {
                continue;
            }
            settings::check(key, &value, attribute).map_err(|error| PieceError {
                column: at.1,
                message: error.message,
                hint: error.hint,
            })?;
            let settings = vec![(key.to_owned(), value)];
            self.source.lines.push(HostLine { line: number, group: None, specs: of_one.to_vec(), settings });
        }
        Ok(())
    }

    /// Whether an attribute is a variable here. One that has the name of a setting never said how pdsh logs in.
    fn takes(&mut self, key: &str, name: &str, number: usize) -> bool {
        let why = if name != ALTNAME && super::host::KNOWN_SETTINGS.contains(&key) {
            "says nothing to pdsh, so it is a group here and not a setting"
        } else if settings::check(key, "x", name).is_err_and(|error| !error.message.starts_with(&format!("`{key}`: ")))
        {
            "is no name for a variable, so it is a group here and nothing else"
        } else {
            return true;
        };
        if self.warned.insert(name.to_owned()) {
            let file = &self.source.file;
            self.source
                .warnings
                .push(format!("hosts file `{file}`, line {number}: the attribute {} {why}", quoted(name)));
        }
        false
    }

    fn member(&mut self, group: &str, specs: &[Spec], at: (usize, usize)) {
        // `all` is every host, whatever an attribute says.
        if group == "all" {
            return;
        }
        let entry = self.source.groups.entry(group.to_owned());
        let index = entry.index();
        let group = entry.or_default();
        if !std::mem::replace(&mut group.defined, true) {
            group.at = at;
        }
        let line = HostLine { line: at.0, group: Some(index), specs: specs.to_vec(), settings: Vec::new() };
        self.source.lines.push(line);
    }
}

/// Where the nodes of a line end: at the first blank outside brackets.
fn end_of_nodes(text: &str) -> usize {
    let mut open = false;
    for (at, c) in text.char_indices() {
        match c {
            '[' => open = true,
            ']' => open = false,
            _ if c.is_whitespace() && !open => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use crate::inventory::Inventory;
    use crate::inventory::file_format::{FormatHint, parse};
    use crate::inventory::select::{Selection, select_with_warnings};

    fn inventory(text: &str) -> Inventory {
        parse(text.as_bytes(), "genders", FormatHint::Genders).unwrap().0
    }

    fn members<'a>(inventory: &'a Inventory, group: &str) -> Vec<&'a str> {
        inventory.groups[group].iter().map(String::as_str).collect()
    }

    #[test]
    fn attributes_are_groups_and_variables() {
        let inventory = inventory(
            "# nodes\nn[1-3],m  web,os=%n-%%x,rack=r1 # these\n n1\tdb=a=b,altname=%n-ib\nlone\nn2, user=omm,2u=x\n",
        );
        assert_eq!(inventory.hosts.keys().map(|name| &**name).collect::<Vec<_>>(), ["n1", "n2", "n3", "m", "lone"]);
        assert_eq!(members(&inventory, "web"), ["n1", "n2", "n3", "m"]);
        assert_eq!(members(&inventory, "os=n2-%x"), ["n2"]);
        assert_eq!(members(&inventory, "rack=r1"), ["n1", "n2", "n3", "m"]);
        assert_eq!(members(&inventory, "2u=x"), ["n2"]);
        let n1 = &inventory.hosts["n1"];
        assert_eq!((n1.settings["db"].value.as_str(), n1.address()), ("a=b", "n1-ib"));
        assert_eq!(inventory.hosts["m"].settings["os"].value, "m-%x");
        assert!(inventory.hosts["n2"].user().is_none(), "{:?}", inventory.hosts["n2"]);
        assert_eq!(inventory.warnings.len(), 2, "{:?}", inventory.warnings);
    }

    #[test]
    fn nodes_that_pdsh_skips_have_to_be_named() {
        let inventory = inventory("n[1-3] web\nn2 pdsh_all_skip\n");
        let names = |selection: Selection| {
            let selected = select_with_warnings(&inventory, &selection).unwrap();
            selected.hosts.into_iter().map(|host| host.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(Selection::default()), ["n1", "n3"]);
        assert_eq!(names(Selection { groups: vec!["all".to_owned()], ..Selection::default() }), ["n1", "n3"]);
        assert_eq!(names(Selection { hosts: vec!["@all".to_owned()], ..Selection::default() }), ["n1", "n3"]);
        let of_set = |set: &str| names(Selection { hosts: vec![set.to_owned()], ..Selection::default() });
        assert_eq!(of_set("@web"), ["n1", "n2", "n3"]);
        assert_eq!(of_set("n2"), ["n2"]);
        let groups = vec!["web".to_owned()];
        assert_eq!(names(Selection { groups, ..Selection::default() }), ["n1", "n2", "n3"]);
    }

    #[test]
    fn what_genders_refuses() {
        for (text, place, want) in [
            ("n1 a\nn1 a\n", (2, 4), "`n1` has the attribute `a` already"),
            ("n1 a, b\n", (1, 6), "a blank in the list of attributes"),
            ("n1 a,,b\n", (1, 6), "an attribute without a name"),
            ("n1 =b\n", (1, 4), "an attribute without a name"),
            ("n1 b,e=\n", (1, 6), "the attribute `e` has no value"),
            ("omm@n1 a\n", (1, 1), "`omm@n1` is more than a name"),
            ("  n[1 a\n", (1, 4), "has a `[` that is not closed"),
        ] {
            let problem = parse(text.as_bytes(), "genders", FormatHint::Genders).unwrap_err();
            assert_eq!((problem.line, problem.column), place, "{problem}");
            assert!(problem.message.contains(want), "{problem}");
        }
    }
}
