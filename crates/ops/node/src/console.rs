//! What a command says: results on standard output, everything else on standard error.

use std::io::Write;

/// A line of the result. A reader that has gone (`alys status | head`) is no reason to fail.
pub fn say(line: impl AsRef<str>) {
    writeln!(std::io::stdout().lock(), "{}", line.as_ref()).ok();
}

/// A line beside the result: progress, advice.
pub fn note(line: impl AsRef<str>) {
    writeln!(std::io::stderr().lock(), "{}", line.as_ref()).ok();
}

/// A table with its columns as wide as their widest cell; the first row is the head.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A number with separators: 1,234,567.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
        .collect();
    groups.join(",")
}

/// A duration as people say it: `4 s`, `3 min 20 s`, `2 h 5 min`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_has_no_blanks_at_the_end() {
        let rows = [vec!["peer".to_owned(), "height".into()], vec!["a".into(), "7".into()]];
        assert_eq!(table(&rows), "peer  height\na     7");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn numbers_and_durations_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([59, 200, 7_500].map(duration), ["59 s", "3 min 20 s", "2 h 5 min"]);
    }
}
