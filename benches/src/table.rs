//! Tables for people: columns as wide as they must be, figures to the right.

/// Lines of a table; the first column is text, the others are figures.
#[must_use]
pub fn render(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &&Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            // The last column is text as well: reasons, not figures.
            let is_text = column == 0 || column + 1 == head.len();
            if is_text { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let line: String = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned() + "\n"
    };
    all.iter().map(line).collect()
}

/// What there is, or a dash.
#[must_use]
pub fn or_dash(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["a", "1", "pass"], ["longer", "12345", ""]].map(|row| row.map(str::to_owned).to_vec());
        let text = render(&["row", "rate", "bars"], &rows);
        assert_eq!(text, "row      rate  bars\na           1  pass\nlonger  12345\n");
    }

    #[test]
    fn what_is_missing_is_a_dash() {
        let show = |value: f64| format!("{value:.1}");
        assert_eq!((or_dash(None, show), or_dash(Some(1.25), show)), ("-".into(), "1.2".into()));
    }
}
