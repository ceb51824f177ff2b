//! The prompt of the shell on a terminal: editing, history, completion.

use std::io;
use std::path::PathBuf;

use rustyline::completion::{Completer, FilenameCompleter};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor as LineEditor, Helper};

use super::line::{WORDS, is_open};

/// Lines that are kept from one shell to the next.
const KEPT_LINES: usize = 1000;

/// What was typed.
pub(super) enum Typed {
    /// A line, or several that belong together.
    Line(String),
    /// Ctrl-C: what stood there is thrown away.
    Nothing,
    /// Ctrl-D.
    End,
}

/// Reads lines from the terminal.
pub(super) struct Editor {
    editor: LineEditor<Names, DefaultHistory>,
    history: PathBuf,
}

impl Editor {
    /// An editor that completes these names of hosts and groups, with the lines that the file has kept.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub(super) fn new(names: Vec<String>, history: PathBuf) -> io::Result<Self> {
        let config = Config::builder()
            .max_history_size(KEPT_LINES)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(other)?
            // Where a line begins with a blank nothing of it stays, as in bash.
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = LineEditor::with_config(config).map_err(other)?;
        editor.set_helper(Some(Names { names, files: FilenameCompleter::new() }));
        // A shell without a past is a shell.
        let _ = editor.load_history(&history);
        Ok(Self { editor, history })
    }

    /// Asks for a line.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn read(&mut self, prompt: &str) -> io::Result<Typed> {
        match self.editor.readline(prompt) {
            Ok(line) => {
                if self.editor.add_history_entry(line.as_str()).unwrap_or_default() {
                    if let Some(folder) = self.history.parent() {
                        let _ = std::fs::create_dir_all(folder);
                    }
                    let _ = self.editor.append_history(&self.history);
                }
                Ok(Typed::Line(line))
            }
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Ok(Typed::Nothing),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(other(error)),
        }
    }
}

fn other(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}

/// What a word may become.
struct Names {
    /// Hosts, and groups with their `@`.
    names: Vec<String>,
    files: FilenameCompleter,
}

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..at];
        if !typed.contains(char::is_whitespace) {
            let words = WORDS.iter().filter(|(word, ..)| typed.starts_with(':') && word.starts_with(typed));
            return Ok((0, words.map(|(word, ..)| format!("{word} ")).collect()));
        }
        if typed.starts_with(":hosts ") {
            let begin = typed.rfind([' ', ',', '!', '&', '^']).map_or(0, |at| at + 1);
            let names = self.names.iter().filter(|name| name.starts_with(&typed[begin..]));
            return Ok((begin, names.cloned().collect()));
        }
        if typed.starts_with(":push ") || typed.starts_with(":pull ") || typed.starts_with(":save ") {
            let (begin, files) = self.files.complete_path(line, at)?;
            return Ok((begin, files.into_iter().map(|file| file.replacement).collect()));
        }
        Ok((at, Vec::new()))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}

impl Validator for Names {
    fn validate(&self, typed: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let open = is_open(typed.input());
        Ok(if open { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Helper for Names {}
