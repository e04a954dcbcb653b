//! Columns of text.

use std::fmt::Write as _;

/// Between two columns.
const GAP: usize = 2;

/// Which side of a column its text is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of equally many cells under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            headings: columns.iter().map(|(heading, _)| *heading).collect(),
            aligns: columns.iter().map(|(_, align)| *align).collect(),
            rows: Vec::new(),
        }
    }

    /// Add a row; cells beyond the columns are not shown.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Is there nothing in it?
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines, the headings first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let headings = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&headings).chain(&self.rows).collect();
        let width = |column: usize| {
            let cells = all.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        all.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, align), width) in row.iter().zip(&self.aligns).zip(widths) {
            if !line.is_empty() {
                line.push_str(&" ".repeat(GAP));
            }
            // Writing to a string cannot fail.
            let _ = match align {
                Align::Left => write!(line, "{cell:<width$}"),
                Align::Right => write!(line, "{cell:>width$}"),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("NAME", Align::Left), ("SIZE", Align::Right), ("NOTE", Align::Left)]);
        assert!(table.is_empty());
        table.row(vec!["a".to_owned(), "12345".to_owned(), String::new()]);
        table.row(vec!["longer".to_owned(), "1".to_owned(), "ä".to_owned()]);
        assert_eq!(table.lines(), ["NAME     SIZE  NOTE", "a       12345", "longer      1  ä"]);
    }
}
