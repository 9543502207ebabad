//! Tables for people. A table fits the terminal: columns that are too wide are cut, and end with `…`. Without a terminal
//! nothing is cut, so that other programs find whole values.

use std::io::{self, IsTerminal};

use console::{Term, measure_text_width, truncate_str};
use wasmcloud_core::text::escaped;

/// The text between two columns.
const GAP: &str = "  ";

/// The width below which no column is cut, unless the table would not fit otherwise.
const NARROW: usize = 8;

/// A table: a line of titles, and rows.
#[derive(Debug)]
pub(crate) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table without rows.
    pub(crate) fn new(titles: &[&'static str]) -> Table {
        Table { titles: titles.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. Its values may come from outside, so invisible characters are escaped. An empty value is shown as `-`.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.titles.len(), "a row has a cell for each title");
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { escaped(&cell).into_owned() };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// Returns the table as text for standard output.
    pub(crate) fn to_text(&self) -> String {
        self.fitted(width())
    }

    /// Returns the table as text, in lines of at most `width` columns.
    fn fitted(&self, width: Option<usize>) -> String {
        let mut widths: Vec<usize> = self.titles.iter().map(|title| measure_text_width(title)).collect();
        for row in &self.rows {
            for (column, cell) in widths.iter_mut().zip(row) {
                *column = (*column).max(measure_text_width(cell));
            }
        }
        if let Some(width) = width {
            fit(&mut widths, width.saturating_sub(GAP.len() * self.titles.len().saturating_sub(1)));
        }
        let mut text = String::new();
        let titles: Vec<&str> = self.titles.clone();
        text.push_str(&line(&titles, &widths, width));
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            text.push_str(&line(&cells, &widths, width));
        }
        text
    }
}

/// Returns a row as a line. The last cell is not padded.
fn line(cells: &[&str], widths: &[usize], width: Option<usize>) -> String {
    let mut line = String::new();
    for (number, (cell, column)) in cells.iter().zip(widths).enumerate() {
        if number > 0 {
            line.push_str(GAP);
        }
        let cut = truncate_str(cell, *column, "…");
        line.push_str(&cut);
        line.push_str(&" ".repeat(column.saturating_sub(measure_text_width(&cut))));
    }
    let line = line.trim_end();
    let line = width.map_or(line.into(), |width| truncate_str(line, width, "…"));
    format!("{}\n", line.trim_end())
}

/// Reduces the widths of the widest columns until their sum fits, but none below the narrow width as long as that suffices.
fn fit(widths: &mut [usize], available: usize) {
    for least in [NARROW, 1] {
        let mut limit = widths.iter().copied().max().unwrap_or_default();
        while limit > least && widths.iter().map(|width| width.min(&limit)).sum::<usize>() > available {
            limit -= 1;
        }
        for width in widths.iter_mut() {
            *width = (*width).min(limit);
        }
        if widths.iter().sum::<usize>() <= available {
            return;
        }
    }
}

/// Returns the width that output has to fit: `COLUMNS` if it is exported, else that of the terminal, else none.
fn width() -> Option<usize> {
    let exported =
        std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    let of_terminal = || io::stdout().is_terminal().then(|| Term::stdout().size_checked()).flatten();
    exported.or_else(|| of_terminal().map(|(_, columns)| columns.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["HOST", "UPTIME", "LABELS"]);
        table.row(["N".repeat(56), "3 h".to_owned(), "arch=x86_64 os=linux zone=east".to_owned()]);
        table.row(["NB".to_owned(), String::new(), String::new()]);
        table
    }

    #[test]
    fn a_table_without_a_terminal_is_whole() {
        let text = table().fitted(None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("HOST{}UPTIME  LABELS", " ".repeat(54)));
        assert_eq!(lines[1], format!("{}  3 h     arch=x86_64 os=linux zone=east", "N".repeat(56)));
        assert_eq!(lines[2], format!("NB{}-       -", " ".repeat(56)));
    }

    #[test]
    fn the_widest_columns_are_cut_first() {
        let text = table().fitted(Some(40));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "HOST             UPTIME  LABELS");
        assert_eq!(lines[1], "NNNNNNNNNNNNNN…  3 h     arch=x86_64 os…");
        assert_eq!(lines[2], "NB               -       -");
    }

    #[test]
    fn text_of_hosts_cannot_control_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.row(["\u{1b}[2Jevil\nline".to_owned()]);
        assert_eq!(table.fitted(None), "NAME\n\\u{1b}[2Jevil\\nline\n");
    }

    proptest! {
        #[test]
        fn every_line_fits(cells in prop::collection::vec([any::<String>(), any::<String>(), any::<String>()], 0..5), width in 1usize..120) {
            let mut table = Table::new(&["ONE", "TWO", "THREE"]);
            for row in &cells {
                table.row(row.clone());
            }
            let text = table.fitted(Some(width));
            prop_assert_eq!(text.lines().count(), cells.len() + 1);
            for line in text.lines() {
                prop_assert!(measure_text_width(line) <= width, "{line:?} at {width}");
            }
        }
    }
}
