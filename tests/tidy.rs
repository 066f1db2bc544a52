//! The project's own lints: what can be checked on the text of the sources without parsing them.
//!
//! 1. **Layers.** Every `crate::` path points to the file's own layer or to one below it ([`LAYERS`]), and `src/lib.rs`
//!    lists exactly the layers, each with one line of documentation.
//! 2. **Registration.** Each row of the operation table has its file and its `mod` line, each operation's file has its
//!    row, and the README's table of operations says the same.
//! 3. **Unsafe** stands only in the files of [`UNSAFE_FILES`], which open with an `#![expect]` and a reason, and every
//!    block is preceded by a `SAFETY:` comment.
//! 4. **Shape.** Lines of at most 120 columns, files of at most 800 lines, nothing unfinished, nothing ignored.
//!
//! A violation is reported as `path:line: what is wrong`, all of them at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder or file under `src/` and what its code may use beside itself. From the top down.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["*"]),
    ("config", &["*"]),
    ("command", &["storage"]),
    ("server", &["http", "operation", "storage", "model"]),
    ("http", &[]),
    ("operation", &["json", "expression", "storage", "model"]),
    ("json", &["model"]),
    ("expression", &["model"]),
    ("storage", &["model"]),
    ("model", &[]),
    ("error", &[]),
    ("metrics", &[]),
    ("clock", &[]),
];

/// What every layer may use.
const BASE: &[&str] = &["error", "metrics", "clock"];

/// Files that may contain unsafe code, relative to the checkout.
const UNSAFE_FILES: &[&str] = &["src/server/sys.rs", "src/storage/verify/checksums.rs", "tests/allocation.rs"];

const LINE_COLUMNS_MAX: usize = 120;
const FILE_LINES_MAX: usize = 800;

/// The operations of DynamoDB's API: a file in `src/operation/` that is named after one of them is an operation.
const API: &str = "\
    BatchExecuteStatement BatchGetItem BatchWriteItem CreateBackup CreateGlobalTable CreateTable DeleteBackup \
    DeleteItem DeleteResourcePolicy DeleteTable DescribeBackup DescribeContinuousBackups \
    DescribeContributorInsights DescribeEndpoints DescribeExport DescribeGlobalTable DescribeGlobalTableSettings \
    DescribeImport DescribeKinesisStreamingDestination DescribeLimits DescribeStream DescribeTable \
    DescribeTableReplicaAutoScaling DescribeTimeToLive DisableKinesisStreamingDestination \
    EnableKinesisStreamingDestination ExecuteStatement ExecuteTransaction ExportTableToPointInTime GetItem \
    GetRecords GetResourcePolicy GetShardIterator ImportTable ListBackups ListContributorInsights ListExports \
    ListGlobalTables ListImports ListStreams ListTables ListTagsOfResource PutItem PutResourcePolicy Query \
    RestoreTableFromBackup RestoreTableToPointInTime Scan TagResource TransactGetItems TransactWriteItems \
    UntagResource UpdateContinuousBackups UpdateContributorInsights UpdateGlobalTable UpdateGlobalTableSettings \
    UpdateItem UpdateKinesisStreamingDestination UpdateTable UpdateTableReplicaAutoScaling UpdateTimeToLive";

/// One text file of the checkout.
struct Source {
    /// Relative to the checkout, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The layer that a file under `src/` belongs to: its folder, or its own name.
    fn layer(&self) -> Option<&str> {
        let name = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(name.strip_suffix(".rs").unwrap_or(name))
    }
}

#[test]
fn imports_point_down() {
    let mut report = Report::default();
    for source in sources(&["src"], &["rs"]) {
        let Some(layer) = source.layer().filter(|layer| *layer != "lib") else { continue };
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            report.add(&source, 1, &format!("`{layer}` is not a layer: give it a place in LAYERS"));
            continue;
        };
        for (line, used) in crate_paths(&source) {
            let known = LAYERS.iter().any(|(name, _)| *name == used);
            let allowed = used == layer || BASE.contains(&used.as_str()) || below.contains(&"*");
            if known && !allowed && !below.contains(&used.as_str()) {
                report.add(&source, line, &format!("`{layer}` may not use `{used}`"));
            }
        }
    }
    report.finish();
}

#[test]
fn lib_lists_the_layers() {
    let mut report = Report::default();
    let lib = read("src/lib.rs");
    let lines: Vec<_> = lib.lines().collect();
    let mut listed = BTreeSet::new();
    for (line, text) in &lines {
        let Some(name) = module_name(text) else { continue };
        listed.insert(name.to_owned());
        let before = |distance: usize| line.checked_sub(distance + 1).map_or("", |index| lines[index].1);
        if !before(1).starts_with("/// ") || before(2).starts_with("///") {
            report.add(&lib, *line, &format!("`{name}` needs exactly one line of documentation"));
        }
    }
    for source in sources(&["src"], &["rs"]) {
        let layer = source.layer().unwrap_or_default().to_owned();
        if layer != "lib" && layer != "main" && listed.insert(layer.clone()) {
            report.add(&lib, 1, &format!("`{layer}` is missing"));
        }
    }
    report.finish();
}

#[test]
fn operations_are_registered() {
    let mut report = Report::default();
    let (table, module) = (read("src/operation/table.rs"), read("src/operation/mod.rs"));
    let rows = operation_rows(&table);
    let modules: BTreeSet<_> = module.lines().filter_map(|(_, text)| module_name(text)).collect();
    for (name, line) in &rows {
        let file = snake_case(name);
        let exists = |path: String| root().join(path).exists();
        if !exists(format!("src/operation/{file}.rs")) && !exists(format!("src/operation/{file}/mod.rs")) {
            report.add(&table, *line, &format!("`{name}` has no file `{file}.rs`"));
        }
        if !modules.contains(file.as_str()) {
            report.add(&module, 1, &format!("no `mod {file};` for the operation `{name}`"));
        }
        if rows.iter().filter(|(other, _)| other == name).count() != 1 {
            report.add(&table, *line, &format!("`{name}` has more than one row"));
        }
    }
    for name in API.split_whitespace() {
        if modules.contains(snake_case(name).as_str()) && !rows.iter().any(|(row, _)| row == name) {
            report.add(&table, 1, &format!("`{}.rs` has no row", snake_case(name)));
        }
    }
    report.finish();
}

#[test]
fn readme_lists_the_operations() {
    let mut report = Report::default();
    let (table, readme) = (read("src/operation/table.rs"), read("README.md"));
    let supported: BTreeSet<_> = operation_rows(&table).into_iter().map(|(name, _)| name).collect();
    let mut described = BTreeSet::new();
    for (line, text) in readme.lines() {
        let Some((name, claim)) = compatibility_row(text) else { continue };
        if !API.split_whitespace().any(|known| known == name) {
            report.add(&readme, line, &format!("`{name}` is not an operation of the API"));
        } else if supported.contains(name) != claim.starts_with("yes") {
            report.add(&readme, line, &format!("`{name}`: `{claim}` is not what the operation table says"));
        }
        described.insert(name);
    }
    for name in supported.iter().filter(|name| !described.contains(name.as_str())) {
        report.add(&readme, 1, &format!("`{name}` is missing from the table of operations"));
    }
    report.finish();
}

#[test]
fn unsafe_is_confined_and_explained() {
    let mut report = Report::default();
    for source in sources(&["src", "tests", "benches", "tools", "fuzz"], &["rs"]) {
        let lines: Vec<_> = source.text.lines().collect();
        let uses: Vec<_> = (0..lines.len()).filter(|&index| has_word(&bare_code(lines[index]), UNSAFE)).collect();
        let listed = UNSAFE_FILES.contains(&source.path.as_str());
        match (uses.first(), listed) {
            (Some(&first), false) => report.add(&source, first + 1, "unsafe code outside UNSAFE_FILES"),
            (None, true) => report.add(&source, 1, "no unsafe code here: remove the file from UNSAFE_FILES"),
            _ => {}
        }
        if listed && !source.text.contains(concat!("#![expect(", "unsafe_code, reason")) {
            report.add(&source, 1, "needs an #![expect] of unsafe_code with its reason");
        }
        for index in uses {
            // A function's declaration makes a contract and uses none.
            let declares = has_word(&bare_code(lines[index]), "fn");
            if !declares && !has_safety_comment(&lines, index) {
                report.add(&source, index + 1, "no SAFETY comment above");
            }
        }
    }
    report.finish();
}

#[test]
fn text_is_in_shape() {
    let unfinished = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[ign", "ore"),
        concat!("pytest.mark.", "skip"),
        concat!("pytest.mark.", "xfail"),
        concat!("test.", "skip("),
        concat!("test.", "todo("),
    ];
    let mut report = Report::default();
    for source in sources(&["src", "tests", "benches", "tools", "fuzz"], &["rs", "py", "js", "sh"]) {
        for (line, text) in source.lines() {
            if text.chars().count() > LINE_COLUMNS_MAX {
                report.add(&source, line, &format!("more than {LINE_COLUMNS_MAX} columns"));
            }
            if text.ends_with([' ', '\t', '\r']) {
                report.add(&source, line, "blanks at the end");
            }
            for word in unfinished.iter().filter(|word| text.contains(**word)) {
                report.add(&source, line, &format!("`{word}`"));
            }
        }
        if source.text.lines().count() > FILE_LINES_MAX {
            let problem = format!("more than {FILE_LINES_MAX} lines: look for the second noun in it");
            report.add(&source, FILE_LINES_MAX, &problem);
        }
        if !source.text.is_empty() && (!source.text.ends_with('\n') || source.text.ends_with("\n\n")) {
            report.add(&source, 1, "must end with one newline");
        }
    }
    report.finish();
}

const UNSAFE: &str = "unsafe";

/// Violations, gathered so that one run shows them all.
#[derive(Default)]
struct Report(Vec<String>);

impl Report {
    fn add(&mut self, source: &Source, line: usize, problem: &str) {
        self.0.push(format!("{}:{line}: {problem}", source.path));
    }

    fn finish(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Source {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source { path: path.to_owned(), text }
}

/// All files with these extensions below these folders, in order of their paths.
fn sources(folders: &[&str], extensions: &[&str]) -> Vec<Source> {
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut paths = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "node_modules" && name != "target" && !name.to_string_lossy().starts_with('.') {
                pending.push(path);
            } else if extensions.iter().any(|wanted| path.extension().is_some_and(|extension| extension == *wanted)) {
                paths.push(path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/"));
            }
        }
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// The part of a line before a comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// The part of a line before a comment, without what is quoted in it.
fn bare_code(line: &str) -> String {
    code(line).split('"').step_by(2).collect::<Vec<_>>().join(" ")
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// A comment with `SAFETY:`, or for a function's contract a `# Safety` section, directly above the statement.
fn has_safety_comment(lines: &[&str], index: usize) -> bool {
    let attached = |line: &&&str| {
        let line = line.trim();
        line.starts_with("//")
            || line.starts_with('#')
            || line.ends_with(['=', '(', ',', '{'])
            || has_word(line, UNSAFE)
    };
    let explains = |line: &str| line.contains("// SAFETY:") || line.contains("/// # Safety");
    let above = || lines[..index].iter().rev().take_while(attached).take(20);
    explains(lines[index]) || above().any(|line| explains(line))
}

/// `mod name;` or `pub mod name;`.
fn module_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
    line.strip_prefix("mod ")?.strip_suffix(';')
}

/// The first names of all `crate::` paths in the code, with their lines: `crate::a::b`, `crate::{a, b::{c, d}}`.
fn crate_paths(source: &Source) -> Vec<(usize, String)> {
    let text: String = source.lines().flat_map(|(_, line)| [code(line), "\n"]).collect();
    let mut found = Vec::new();
    for (position, prefix) in text.match_indices("crate::") {
        let before = text[..position].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = text[..position].matches('\n').count() + 1;
        for name in first_names(&text[position + prefix.len()..]) {
            found.push((line, name));
        }
    }
    found
}

/// The names at the outermost level of what follows `crate::`.
fn first_names(path: &str) -> Vec<String> {
    let identifier = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(group) = path.strip_prefix('{') else { return vec![identifier(path)] };
    let mut names = vec![identifier(group)];
    let mut depth = 1;
    for (position, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(identifier(&group[position + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name: &String| !name.is_empty());
    names
}

/// The operations' names in the table: each string that is a name of the API, with its line.
fn operation_rows(table: &Source) -> Vec<(String, usize)> {
    let tests = table.lines().find(|(_, text)| text.contains("#[cfg(test)]")).map_or(usize::MAX, |(line, _)| line);
    let rows = table.lines().take_while(|(line, _)| *line < tests).flat_map(|(line, text)| {
        let quoted = code(text).split('"').skip(1).step_by(2);
        let known = |name: &&str| API.split_whitespace().any(|known| known == *name);
        quoted.filter(known).map(move |name| (name.to_owned(), line))
    });
    rows.collect()
}

/// `| PutItem | yes | ... |` in the README: the operation and what is said of it.
fn compatibility_row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
    let name = cells.next()?.trim_end_matches('`');
    let claim = cells.next()?;
    let is_claim = claim.starts_with("yes") || claim.starts_with("no");
    (is_claim && name.starts_with(char::is_uppercase)).then_some((name, claim))
}

/// `BatchWriteItem` to `batch_write_item`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

mod of_the_lints {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "src/x.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn crate_paths_are_found() {
        let names = |text: &str| crate_paths(&source(text)).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names("use crate::model::Value;"), ["model"]);
        assert_eq!(names("use crate::{\n    json::{reader, writer},\n    model::Value,\n};"), ["json", "model"]);
        assert_eq!(names("let x = crate::http::parse(&b); // crate::server"), ["http"]);
        assert_eq!(names("$crate::json::x"), Vec::<String>::new());
    }

    #[test]
    fn names_and_rows_are_read() {
        assert_eq!(snake_case("BatchWriteItem"), "batch_write_item");
        assert_eq!(module_name("pub mod model;"), Some("model"));
        assert_eq!(compatibility_row("| `PutItem` | yes | all of it |"), Some(("PutItem", "yes")));
        assert_eq!(compatibility_row("| `--port` | 8002 |"), None);
        let table = source("row(\"PutItem\"),\nOperation { name: \"Scan\", other: \"x\" },\n#[cfg(test)]\n\"Query\"");
        assert_eq!(operation_rows(&table), [("PutItem".to_owned(), 1), ("Scan".to_owned(), 2)]);
    }

    #[test]
    fn safety_comments_are_seen() {
        let block = format!("{UNSAFE} {{");
        assert!(has_safety_comment(&["// SAFETY: the ring owns it", "// until completion.", "let x =", &block], 3));
        assert!(!has_safety_comment(&["// SAFETY: another one", "let y = 1;", "", &block], 3));
    }
}
