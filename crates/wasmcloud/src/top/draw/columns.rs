//! Lists with columns that fit. All text is cut to its column, whatever it holds.

use console::{measure_text_width, truncate_str};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The width between two columns.
const GAP: usize = 1;

/// A column of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: usize,
    pub(super) side: Side,
    /// The width of the screen from which it is shown.
    pub(super) from: usize,
}

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
    /// At the left, and as wide as there is room.
    Rest,
}

/// A text in a column.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) style: Style,
    /// Whether it takes the room of all columns behind it as well.
    pub(super) is_long: bool,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: text.into(), style, is_long: false }
    }

    pub(super) fn long(text: impl Into<String>, style: Style) -> Cell {
        Cell { is_long: true, ..Cell::new(text, style) }
    }
}

/// Returns the columns that a screen of a width shows, with their widths.
pub(super) fn fitted(columns: &[Column], width: usize) -> Vec<Option<usize>> {
    let is_shown = |column: &Column| width >= column.from;
    let shown = columns.iter().filter(|column| is_shown(column));
    let fixed: usize = shown.filter(|column| column.side != Side::Rest).map(|column| column.width + GAP).sum();
    let width_of = |column: &Column| match column.side {
        Side::Rest => width.saturating_sub(fixed).max(1),
        _ => column.width,
    };
    columns.iter().map(|column| is_shown(column).then(|| width_of(column))).collect()
}

/// Returns the titles of columns as a line.
pub(super) fn titles(columns: &[Column], widths: &[Option<usize>], style: Style) -> Line<'static> {
    let cells = columns.iter().map(|column| Cell::new(column.title, style)).collect::<Vec<Cell>>();
    line(columns, widths, &cells)
}

/// Returns cells as a line.
pub(super) fn line(columns: &[Column], widths: &[Option<usize>], cells: &[Cell]) -> Line<'static> {
    let mut spans = Vec::new();
    for (number, (column, cell)) in columns.iter().zip(cells).enumerate() {
        let Some(width) = widths[number] else { continue };
        if cell.is_long {
            let rest: usize = widths[number + 1..].iter().flatten().map(|width| width + GAP).sum();
            spans.push(padded(cell, width + rest, Side::Left));
            break;
        }
        spans.push(padded(cell, width, column.side));
        spans.push(Span::raw(" ".repeat(GAP)));
    }
    Line::from(spans)
}

fn padded(cell: &Cell, width: usize, side: Side) -> Span<'static> {
    let text = truncate_str(&cell.text, width, "…");
    let room = " ".repeat(width.saturating_sub(measure_text_width(&text)));
    let text = if side == Side::Right { format!("{room}{text}") } else { format!("{text}{room}") };
    Span::styled(text, cell.style)
}
