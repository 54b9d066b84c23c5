//! Figures that a program can read: every command that measures or judges prints them, with the same names.
//!
//! - **Owns**: the names `name`, `value`, `unit`, `baseline_ratio`, `possible`, `pass`, `seed`. Programs rely on them.
//! - **In**: what a command measured. **Out**: with `--json` one object a line, without it a line for people.
//! - **On failure**: nothing can fail; a figure that is not a finite number is printed as `null`, never as a made-up one.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// One measured or judged figure. What does not apply is left out of the line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured, such as `sync/loopback/empty`.
    pub name: String,
    /// The figure itself.
    pub value: f64,
    /// Its unit, such as `blocks/s`.
    pub unit: &'static str,
    /// How many times the plain baseline of the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_ratio: Option<f64>,
    /// The ceiling that was measured in the same run, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub possible: Option<f64>,
    /// Whether it meets its bar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<bool>,
    /// The seed that replays it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Further columns of one command, by their documented names.
    #[serde(flatten)]
    pub columns: Map<String, Value>,
}

impl Figure {
    /// A figure with nothing beside it.
    #[must_use]
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        let name = name.into();
        Self {
            name,
            value,
            unit,
            baseline_ratio: None,
            possible: None,
            pass: None,
            seed: None,
            columns: Map::new(),
        }
    }

    /// Says whether it meets its bar.
    #[must_use]
    pub fn pass(mut self, pass: bool) -> Self {
        self.pass = Some(pass);
        self
    }

    /// Puts it beside the plain baseline's figure of the same run.
    #[must_use]
    pub fn against(mut self, baseline: f64) -> Self {
        self.baseline_ratio = Some(self.value / baseline);
        self
    }

    /// Puts it beside the ceiling that the same run measured.
    #[must_use]
    pub fn possible(mut self, ceiling: f64) -> Self {
        self.possible = Some(ceiling);
        self
    }

    /// Names the seed that replays it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Adds a column of the command.
    #[must_use]
    pub fn column(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.columns.insert(name.to_owned(), value.into());
        self
    }

    /// Prints it on standard output: one JSON object a line for programs, an aligned line for people.
    #[expect(clippy::print_stdout, reason = "figures are what the command was asked for")]
    pub fn print(&self, json: bool) {
        if json { println!("{}", self.json()) } else { println!("{self}") }
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("string keys and plain values always serialise")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<44} {:>14.2} {:<10}", self.name, self.value, self.unit)?;
        if let Some(ratio) = self.baseline_ratio {
            write!(f, " {ratio:>7.1} x baseline")?;
        }
        if let Some(ceiling) = self.possible {
            write!(f, " {:>5.1} % of {ceiling:.2}", 100.0 * self.value / ceiling)?;
        }
        for (name, value) in &self.columns {
            write!(f, "  {name} {value}")?;
        }
        if let Some(seed) = self.seed {
            write!(f, "  seed {seed}")?;
        }
        match self.pass {
            Some(true) => f.write_str("  pass"),
            Some(false) => f.write_str("  FAIL"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_only_what_applies() {
        assert_eq!(Figure::new("a", 1.5, "s").json(), r#"{"name":"a","value":1.5,"unit":"s"}"#);
    }

    #[test]
    fn a_line_holds_everything_that_was_said() {
        let figure = Figure::new("sync", 10.0, "blocks/s").against(4.0).possible(20.0).pass(true).seed(7);
        let line: Value = serde_json::from_str(&figure.column("net", "loopback").json()).unwrap();
        assert_eq!(line["baseline_ratio"], 2.5);
        assert_eq!(line["possible"], 20.0);
        assert_eq!(line["pass"], true);
        assert_eq!(line["seed"], 7);
        assert_eq!(line["net"], "loopback");
    }

    #[test]
    fn a_division_by_nothing_is_no_figure() {
        let line: Value = serde_json::from_str(&Figure::new("a", 1.0, "s").against(0.0).json()).unwrap();
        assert_eq!(line["baseline_ratio"], Value::Null);
    }

    #[test]
    fn people_read_the_share_of_the_ceiling_and_the_verdict() {
        let figure = Figure::new("sync", 10.0, "blocks/s").possible(20.0).against(5.0).seed(3);
        let text = figure.column("net", "wan").pass(false).to_string();
        for part in ["50.0 % of 20.00", "2.0 x baseline", "net \"wan\"", "seed 3", "FAIL"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
