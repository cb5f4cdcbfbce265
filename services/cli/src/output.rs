//! Tables for people, JSON for programs.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// The form of what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

/// Prints `value` as JSON, or as the table that `rows` makes.
pub fn print<T: Serialize>(
    form: Form,
    value: &T,
    head: &[&str],
    rows: impl FnOnce() -> Vec<Vec<String>>,
) -> Result<(), Failure> {
    match form {
        Form::Json => json(value),
        Form::Table => line(&table(head, rows())),
    }
}

/// Prints `value` as indented JSON.
pub fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    line(&text.map_err(|e| Failure::other(format!("cannot write JSON: {e}")))?)
}

/// Prints `text` and an end of line; fails (and does not panic) when the reader has gone.
pub fn line(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(Failure::from)
}

/// Columns without lines, as `kubectl` prints them, without spaces at the ends of lines.
pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !head.is_empty() {
        table.set_header(head.iter().map(|h| h.to_uppercase()));
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_aligned_columns_and_no_trailing_space() {
        let rows = vec![
            vec!["demo".into(), "live".into()],
            vec!["a-longer-name".into(), "".into()],
        ];
        assert_eq!(
            table(&["id", "phase"], rows),
            "ID             PHASE\ndemo           live\na-longer-name"
        );
    }
}
