//! A table that fits the terminal.
//!
//! 1. If the table is too wide, figures take their short form, then texts are cut at their end, down to
//!    [`LEAST_TEXT`] columns. If it still is, each row becomes a block with one line for each cell.
//! 2. Ids are never cut, because they are there to be copied. Nor are the bodies of messages that are removed.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::termios::tcgetwinsize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::quantity;

/// A table with a head.
#[derive(Debug)]
pub(crate) struct Grid<const N: usize> {
    head: [(&'static str, Kind); N],
    rows: Vec<[Cell; N]>,
}

/// How a column is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To the left, and may be cut.
    Text,
    /// To the left, and never cut.
    Id,
    /// To the right.
    Figure,
}

/// A cell, and its form for a narrow table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    short: Option<String>,
}

impl Cell {
    pub(crate) fn short(text: String, short: String) -> Self {
        Self { text, short: Some(short) }
    }

    pub(crate) fn count(count: u64) -> Self {
        Self::short(count.to_string(), quantity::short_count(count))
    }

    pub(crate) fn age(age: Duration) -> Self {
        Self::short(quantity::age(age), quantity::short_age(age))
    }

    pub(crate) fn nothing() -> Self {
        "-".to_owned().into()
    }

    fn shown(&self, short: bool) -> &str {
        self.short.as_deref().filter(|_| short).unwrap_or(&self.text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, short: None }
    }
}

impl<const N: usize> Grid<N> {
    pub(crate) fn new(head: [(&'static str, Kind); N]) -> Self {
        Self { head, rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    /// The table, no wider than `width` if there is one.
    pub(crate) fn text(&self, width: Option<usize>) -> String {
        let whole = self.widths(false);
        let Some(most) = width.filter(|most| sum(&whole) > *most) else { return self.lines(&whole, false) };
        let mut widths = self.widths(true);
        while sum(&widths) > most {
            let texts = widths.iter_mut().zip(self.head).filter(|(_, (_, kind))| *kind == Kind::Text);
            match texts.map(|(width, _)| width).max().filter(|widest| **widest > LEAST_TEXT) {
                Some(widest) => *widest -= 1,
                None => return self.blocks(most),
            }
        }
        self.lines(&widths, true)
    }

    fn widths(&self, short: bool) -> [usize; N] {
        let mut widths = self.head.map(|(name, _)| name.width());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.shown(short).width().max(*width);
            }
        }
        widths
    }

    fn lines(&self, widths: &[usize; N], short: bool) -> String {
        let head = self.head.map(|(name, _)| name);
        let mut text = line(head, self.head, widths);
        for row in &self.rows {
            text.push_str(&line(row.each_ref().map(|cell| cell.shown(short)), self.head, widths));
        }
        text
    }

    /// Each row as lines of the name and the value of a cell.
    fn blocks(&self, most: usize) -> String {
        let names = self.head.map(|(name, _)| name);
        let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let block = |row: &[Cell; N]| {
            let lines = names.iter().zip(row).zip(self.head).map(|((name, cell), (_, kind))| {
                let space = if kind == Kind::Id { usize::MAX } else { most.saturating_sub(widest + GAP).max(1) };
                format!("{}  {}\n", padded(name, widest), cut(&cell.text, space))
            });
            lines.collect::<String>()
        };
        self.rows.iter().map(block).collect::<Vec<_>>().join("\n")
    }
}

/// Facts one below another, each with its name.
pub(crate) fn facts(facts: &[(&str, String)], width: Option<usize>) -> String {
    let widest = facts.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let space = width.map_or(usize::MAX, |width| width.saturating_sub(widest + GAP).max(LEAST_TEXT));
    let lines = facts.iter().flat_map(|(name, fact)| {
        let names = std::iter::once(*name).chain(std::iter::repeat(""));
        names.zip(wrapped(fact, space)).map(|(name, part)| format!("{}  {part}\n", padded(name, widest)))
    });
    lines.collect()
}

fn line<const N: usize>(cells: [&str; N], head: [(&'static str, Kind); N], widths: &[usize; N]) -> String {
    let cells = cells.iter().enumerate().zip(head).zip(widths).map(|(((at, cell), (_, kind)), width)| {
        let cell = cut(cell, *width);
        match kind {
            // The widest cell may be long: the others need not be.
            Kind::Text | Kind::Id if at + 1 == N => cell,
            Kind::Figure => format!("{}{cell}", " ".repeat(width.saturating_sub(cell.width()))),
            Kind::Text | Kind::Id => padded(&cell, *width),
        }
    });
    format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn sum(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// The text in parts of so many columns, at least one.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut parts = vec![String::new()];
    for c in text.chars() {
        let is_full = |part: &String| part.width() + c.width().unwrap_or(0) > width && !part.is_empty();
        if parts.last().is_some_and(is_full) {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// The text, or its beginning and a mark.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let space = left.checked_sub(c.width().unwrap_or(0));
        left = space.unwrap_or(0);
        space.is_some()
    };
    let head: String = text.chars().take_while(fits).collect();
    format!("{head}…")
}

/// The width of the terminal on standard output, or what the variable `COLUMNS` says. `None` if there is neither.
pub(crate) fn terminal_width() -> Option<usize> {
    width_of(std::io::stdout())
}

/// As [`terminal_width`], of another output.
pub(crate) fn width_of(output: impl AsFd) -> Option<usize> {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let size = || tcgetwinsize(output).ok().map(|size| usize::from(size.ws_col));
    set.or_else(size).filter(|columns| *columns > 0)
}

/// The columns between two cells.
const GAP: usize = 2;

/// A text is not cut below so many columns.
const LEAST_TEXT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid<4> {
        let mut grid =
            Grid::new([("id", Kind::Id), ("queue", Kind::Text), ("free", Kind::Figure), ("body", Kind::Text)]);
        let row = |name: &str, count| ["0123456789".to_owned().into(), name.to_owned().into(), Cell::count(count)];
        let [id, name, free] = row("orders-of-a-long-name", 5_000_000);
        grid.push([id, name, free, "a body that is longer than all".to_owned().into()]);
        let [id, name, free] = row("飲み物", 7);
        grid.push([id, name, free, "x".to_owned().into()]);
        grid
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal() {
        let whole = grid().text(None);
        assert!(whole.contains("5000000  a body that is longer than all"), "{whole}");
        for width in 10..80 {
            let text = grid().text(Some(width));
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            // An id is not cut, and stands behind the longest name in a block.
            assert!(widest <= width.max("queue  0123456789".len()), "{width}:\n{text}");
            assert!(text.contains("0123456789"), "{text}");
        }
        assert_eq!(grid().text(Some(80)), whole);
    }

    #[test]
    fn a_long_fact_goes_on_in_the_next_line() {
        let text = [("file", "abcdefghijkl飲み".to_owned()), ("empty", String::new())];
        let expected = "file   abcdefgh\n       ijkl飲み\nempty  \n";
        assert_eq!(facts(&text, Some(15)), expected);
        assert_eq!(facts(&text, None).lines().count(), 2);
    }

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let expected = "id          queue     free  body
0123456789  orders-…  5.0M  a body …
0123456789  飲み物       7  x
";
        assert_eq!(grid().text(Some(36)), expected);
        let block =
            "id     0123456789\nqueue  orders-of-a-l…\nfree   5000000\nbody   a body that i…\n\nid     0123456789\n";
        assert!(grid().text(Some(21)).starts_with(block), "{}", grid().text(Some(21)));
    }
}
