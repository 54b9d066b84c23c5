//! The flight recorder: the last things that people were told, each with its time.
//!
//! - **Owns**: at most [`ENTRIES`] reports; the oldest goes.
//! - **In**: reports. **Out**: them again, the oldest first, for `explain` and after a crash.
//! - **On failure**: none.

use std::collections::VecDeque;

use alys_chain::Moment;
use serde::Serialize;

use crate::report::Report;

/// How many reports are kept: minutes of a bad time, hours of a good one, and some 100 KB.
const ENTRIES: usize = 512;

/// A report, and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When, since the process began.
    pub at: Moment,
    /// What.
    pub report: Report,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Recorder(VecDeque<Entry>);

impl Recorder {
    /// Keeps a report.
    pub fn note(&mut self, at: Moment, report: Report) {
        if self.0.len() >= ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back(Entry { at, report });
    }

    /// What is kept, the oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_report_goes() {
        let mut recorder = Recorder::default();
        for n in 0..=u32::try_from(ENTRIES).unwrap() {
            let report = Report::ImportRecovered { attempts: n };
            recorder.note(Moment::START, report);
        }
        assert_eq!(recorder.entries().count(), ENTRIES);
        let first = recorder.entries().next().map(|entry| entry.report.clone());
        assert_eq!(first, Some(Report::ImportRecovered { attempts: 1 }));
    }
}
