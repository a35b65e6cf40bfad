//! What is wrong with zones.yaml, where, and what to write instead. Values are echoed only where no secret can stand.

use crate::error::{Error, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake in zones.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named on the command line.
    pub file: String,
    /// Line, from 1; 0 when the file as a whole is meant.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Where in the document: `certificates.mx1.names[1]`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All problems as one error of kind [`Kind::Config`] (exit code 78).
pub fn problems_to_error(problems: Vec<Problem>) -> Error {
    let file = problems.first().map_or("zones.yaml", |problem| problem.file.as_str());
    let action = format!("use {file}");
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    let count = match lines.len() {
        1 => "1 problem".to_owned(),
        MOST => format!("the first {MOST} problems"),
        n => format!("{n} problems"),
    };
    Error::new(Kind::Config, action, format!("{count}\n{}", lines.join("\n"))).remains("Nothing was changed.")
}

/// Where in the file a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Line, from 1.
    pub(super) line: u64,
    /// Column in characters, from 1.
    pub(super) column: u64,
    /// Path in the document.
    pub(super) path: String,
}

/// Nobody reads more at once; it also bounds the work of finding near names. Our choice.
const MOST: usize = 100;

/// Whether CSRs, public keys and trust roots that a configuration names must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// They must be readable.
    Needed,
    /// They are not looked at: a rehearsal does without.
    Unread,
}

/// Collects problems, so that one run reports them all.
#[derive(Debug)]
pub(super) struct Sink {
    file: String,
    problems: Vec<Problem>,
    files: Files,
    /// Paths that misspelt fields were meant to be.
    meant: BTreeSet<String>,
    /// Where files are named that are read later.
    named: BTreeMap<PathBuf, String>,
}

impl Sink {
    /// An empty sink for one file.
    pub(super) fn new(file: &str) -> Self {
        let (problems, files) = (Vec::new(), Files::Needed);
        let (meant, named) = Default::default();
        Sink { file: file.to_owned(), problems, files, meant, named }
    }

    /// The same; says whether files that it names are to be there.
    pub(super) fn with(self, files: Files) -> Self {
        Sink { files, ..self }
    }

    /// Whether files that it names are to be there.
    pub(super) fn files(&self) -> Files {
        self.files
    }

    /// Records a problem.
    pub(super) fn say(&mut self, place: &Place, message: impl Into<String>) {
        self.push(place, message.into(), None);
    }

    /// Records a problem with advice.
    pub(super) fn say_with(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(place, message.into(), Some(hint.into()));
    }

    /// Remembers where a file is named that is read later.
    pub(super) fn names(&mut self, path: &Path, place: &Place) {
        self.named.insert(path.to_owned(), self.told(place));
    }

    /// What was remembered.
    pub(super) fn take_named(&mut self) -> BTreeMap<PathBuf, String> {
        std::mem::take(&mut self.named)
    }

    /// A place as errors tell it.
    pub(super) fn told(&self, place: &Place) -> String {
        format!("{}:{}:{}: {}", self.file, place.line, place.column, place.path)
    }

    /// Remembers that a misspelt field was meant to be the one at this path.
    pub(super) fn meant(&mut self, path: String) {
        self.meant.insert(path);
    }

    /// Whether what stands at this path has a problem already: what follows from it is not reported as well.
    pub(super) fn blames(&self, path: &str) -> bool {
        self.meant.contains(path) || self.problems.iter().any(|problem| problem.path == path)
    }

    fn push(&mut self, place: &Place, message: String, hint: Option<String>) {
        if self.is_full() {
            return;
        }
        let Place { line, column, path } = place.clone();
        self.problems.push(Problem { file: self.file.clone(), line, column, path, message, hint });
    }

    /// Takes what is wrong in another file, which this one names or which was given beside it.
    pub(super) fn elsewhere(&mut self, problems: impl IntoIterator<Item = Problem>) {
        let room = MOST.saturating_sub(self.problems.len());
        self.problems.extend(problems.into_iter().take(room));
    }

    /// No more problems are taken; mistakes there will show when these are gone.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MOST
    }

    /// How many so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// All of them in the order of the file; an alias read twice reports its mistake once.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        let file = self.file.clone();
        let other = |problem: &Problem| problem.file != file;
        self.problems.sort_by(|a, b| {
            (other(a), &a.file, a.line, a.column).cmp(&(other(b), &b.file, b.line, b.column))
        });
        self.problems.dedup();
        self.problems
    }
}

/// The problem of a file that cannot be read at all.
pub(super) fn unreadable(file: &str, message: String, hint: Option<&str>) -> Problem {
    let hint = hint.map(str::to_owned);
    Problem { file: file.to_owned(), line: 0, column: 0, path: String::new(), message, hint }
}

/// A value for an error text: in backquotes, control characters escaped, at most 80 characters.
pub(super) fn quote(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", short.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"))
}

/// `did you mean …?` when one of the known words is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.chars().count() > 64 {
        return None; // the distance is quadratic, and nothing of ours is that long
    }
    let limit = word.chars().count().div_ceil(3).max(1);
    known
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
