//! The reporters of a run: where its output and its reports go, and what is said before and after it.

use super::{PendingRun, Way};
use crate::commands::journal::RunJournal;
use crate::commands::output_filter;
use crate::commands::output_inputs::output_inputs;
use crate::commands::report_files;
use crate::commands::selection;
use crate::commands::standard_stream::{StandardStream, Which};
use crate::diagnostic::Diagnostic;
use crate::playbook::builtin;
use crate::reporter::{
    Afterwards, CommandKind, EndTable, Hurry, Opening, OutputDir, OutputInputs, OutputSettings, ReporterSetup,
    Reporters, When,
};

impl PendingRun<'_> {
    /// Opens every report, then makes the reporters.
    pub(super) fn reporters(
        &self,
        opening: Opening,
        journal: &RunJournal,
        hurry: &Hurry,
    ) -> Result<Reporters, Diagnostic> {
        let names = journal.names();
        let output = &self.options.output;
        let settings = OutputSettings::resolve(&self.inputs(names.len()));
        let output_dir = match &output.output_dir {
            None => None,
            Some(path) => Some(
                OutputDir::create(path, names.clone())
                    .map_err(|error| Diagnostic::usage(format!("output directory `{}`: {error}", path.display())))?,
            ),
        };
        Ok(Reporters::new(ReporterSetup {
            settings,
            names,
            steps: self.plan.steps.iter().map(|step| step.name.to_string()).collect(),
            filter: output_filter::filter(output)?,
            end_table: if self.plan.only_looks() {
                EndTable::States(self.plan.table.clone())
            } else {
                EndTable::Chains
            },
            afterwards: self.afterwards(journal),
            opening,
            stdout: Box::new(StandardStream::new(Which::Out, hurry.clone())),
            stderr: Box::new(StandardStream::new(Which::Err, hurry.clone())),
            json: report_files::open(output.json.as_deref(), hurry)?,
            jsonl: report_files::open(output.jsonl.as_deref(), hurry)?,
            junit: report_files::open(output.junit.as_deref(), hurry)?,
            html: report_files::open_whole(output.html.as_deref())?,
            output_dir,
            more: Vec::new(),
        }))
    }

    /// What is said before the run begins.
    pub(super) fn opening(&self) -> Opening {
        let hosts = &self.options.hosts;
        let found = hosts.hosts_file.is_empty();
        let known = self.selected.hosts.iter().any(|host| self.selected.known.contains_key(&host.name));
        let shown = |file: &std::path::PathBuf| match file.to_str() {
            Some("-") => "standard input".to_owned(),
            _ if file.parent().is_some_and(|parent| parent.as_os_str().is_empty()) => format!("./{}", file.display()),
            _ => file.display().to_string(),
        };
        let files: Vec<String> = self.selected.files.iter().filter(|_| known).map(shown).collect();
        if matches!(self.way, Way::Kept(_)) {
            return Opening::default();
        }
        let unnamed = hosts.hosts.is_empty() && hosts.group.is_empty() && hosts.intersect.is_empty();
        let changes = !matches!(self.kind, CommandKind::Ping | CommandKind::Check) && !self.plan.only_looks();
        let unasked = found && known && unnamed && hosts.exclude.is_empty() && changes;
        Opening {
            verb: Opening::verb(&self.plan.name, builtin::source(&self.plan.name).is_some()),
            files: files.join(", "),
            unasked,
            always: known && self.selected.hosts.len() > 1 || unasked,
        }
    }

    /// What the user can do once the run is over.
    fn afterwards(&self, journal: &RunJournal) -> Afterwards {
        let system = self.plan.name.split('/').next().unwrap_or_default();
        let has_status =
            builtin::source(&self.plan.name).is_some() && builtin::source(&format!("{system}/status")).is_some();
        let status = match system {
            "opengauss" => "gsctl status".to_owned(),
            system => format!("gsctl status --system {system}"),
        };
        Afterwards {
            // What only looks has nothing to wait for.
            status: Some(status).filter(|_| has_status && !self.plan.only_looks()),
            goes_on: self.plan.goes_on.clone(),
            resume: journal.is_resumable().then(|| format!("gsctl play --resume {}", journal.run)),
        }
    }

    fn inputs(&self, hosts: usize) -> OutputInputs {
        let inputs = output_inputs(&self.options.output, self.environment, hosts, self.kind);
        let asks = self.canary.as_ref().is_some_and(|canary| canary.ask.is_some());
        OutputInputs {
            // A question would stand in the middle of it.
            progress: if asks { When::Never } else { inputs.progress },
            one_plain_name: selection::is_one_plain_name(&self.options.hosts.hosts),
            ..inputs
        }
    }
}
