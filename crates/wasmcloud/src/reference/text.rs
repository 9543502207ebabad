//! Tables in Markdown, and text for their cells.

use std::fmt;

/// A table.
pub(super) struct Table<const COLUMNS: usize> {
    head: [&'static str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(super) fn new(head: [&'static str; COLUMNS]) -> Self {
        Table { head, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(COLUMNS))?;
        for row in &self.rows {
            let cells = row.each_ref().map(|cell| cell.replace('\n', " ").replace('|', "\\|"));
            writeln!(f, "{}", format!("| {} |", cells.join(" | ")).replace("|  |", "| |"))?;
        }
        Ok(())
    }
}

/// Returns words as code, separated by commas.
pub(super) fn code(words: &[impl AsRef<str>]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Returns a text of rustdoc without its links to items: `` [`Host`](crate::Host) `` becomes `` `Host` ``.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let (label, after) = link.split_once("`]").unwrap_or((link, ""));
        plain.extend([before, "`", label, "`"]);
        rest = after.strip_prefix('(').and_then(|target| target.split_once(')')).map_or(after, |(_, after)| after);
    }
    plain + rest
}

#[test]
fn links_to_items_become_their_labels() {
    assert_eq!(
        plain("See [`kinds`], [`A::b`](crate::A::b) and [this](page.md)."),
        "See `kinds`, `A::b` and [this](page.md)."
    );
}
