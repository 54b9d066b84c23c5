//! `bench check`: the rows in a short form, each held against the share of the possible that is committed for it.
//!
//! - **In**: `benches/committed.json`: a share for each row. **Out**: a figure a row; with `--write` a new file.
//! - **On failure**: a row that falls is measured again, twice at most, since what disturbs a run only ever slows it down; one that falls each
//!   time ends the run with exit code 1.

use std::collections::BTreeMap;
use std::path::Path;

use alys_figure::Figure;
use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::history::{Kind, Scale};
use crate::judge::{possible, short};
use crate::room::{Guests, Room};
use crate::rows::{Net, Row, Weather};
use crate::stages::rate;

/// The part of the committed share that must be reached. In runs one behind the other on the same machine the shares of a row differed by up to a quarter
/// (docs/performance.md has the runs), and a row that falls has three tries. Approvals checked at twice their price cost the rows of empty blocks a third
/// to a half of their share.
const TOLERANCE: f64 = 0.75;
/// Blocks a second that the importer takes in the rows of uneven links: less than two cores can do, so that these rows show what the links and the
/// scheduler do to it, on any machine.
const CAP: u64 = 2_000;
/// How often a row is measured before it counts as fallen.
const TRIES: usize = 3;

/// The arguments of `bench check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Commit to what is measured now.
    #[arg(long)]
    write: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

type Shares = BTreeMap<String, f64>;

/// Runs the command.
pub fn run(command: &Check) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("committed.json");
    let mut measured = shares(&rows())?;
    if command.write {
        return Ok(std::fs::write(&file, serde_json::to_string_pretty(&measured)? + "\n")?);
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let committed: Shares = serde_json::from_str(&text)?;
    for _ in 1..TRIES {
        let fallen = fallen(&committed, &measured);
        let again: Vec<Row> = rows().into_iter().filter(|row| fallen.contains(&row.name())).collect();
        if again.is_empty() {
            break;
        }
        for (name, share) in shares(&again)? {
            let best = measured.entry(name).or_insert(share);
            *best = best.max(share);
        }
    }
    let fallen = fallen(&committed, &measured);
    for (name, share) in &measured {
        let figure = Figure::new(format!("check/{name}"), *share, "of possible");
        let figure = figure.column("committed", committed.get(name).copied());
        figure.pass(!fallen.contains(name)).print(command.json);
    }
    ensure!(fallen.is_empty(), "below {} of what is committed: {}", short(TOLERANCE), fallen.join(", "));
    Ok(())
}

/// One of each sort, those of a kind one behind the other.
fn rows() -> Vec<Row> {
    let near = |kind, sources| Row::plain(Net::Loopback, kind, sources);
    let uneven = |weather| Row { cap: Some(CAP), ..Row::uneven(Kind::Calldata10k, weather) };
    vec![
        near(Kind::Empty, 1),
        near(Kind::Empty, 4),
        Row::plain(Net::Rtt100, Kind::Empty, 1),
        near(Kind::Calldata, 1),
        uneven(Weather::Healthy),
        uneven(Weather::Stalls),
        near(Kind::Transfers, 1),
    ]
}

/// What each row achieves of the possible. The stages are measured before the first row of a kind and behind each; of each stage the best counts, since
/// what disturbs it only ever slows it down.
fn shares(rows: &[Row]) -> Result<Shares> {
    let mut shares = Shares::new();
    for rows in rows.chunk_by(|row, next| row.kind == next.kind) {
        let Some(kind) = rows.first().map(|row| row.kind) else { continue };
        let sources = rows.iter().map(|row| row.sources).max().unwrap_or(1);
        let room = Room::new(kind, kind.blocks(Scale::Check), sources)?;
        let mut ceilings = room.ceilings()?;
        let mut achieved = Vec::new();
        for row in rows {
            achieved.push(rate(room.blocks, room.sync(&Guests::of(row), row.cap)?.worked));
            ceilings = ceilings.best(&room.ceilings()?);
        }
        for (row, achieved) in rows.iter().zip(achieved) {
            if let Some((possible, limit)) = possible(row, Some(&ceilings), room.history.block_bytes) {
                eprintln!("{}: {achieved:.0} of {possible:.0} blocks/s ({limit})", row.name());
                shares.insert(row.name(), achieved / possible);
            }
        }
    }
    Ok(shares)
}

/// The rows of the file that are too slow now, or that nobody measured; and those that nothing is committed for.
fn fallen(committed: &Shares, measured: &Shares) -> Vec<String> {
    let holds = |name: &String, share: &f64| measured.get(name).is_some_and(|now| *now >= TOLERANCE * share);
    let slow = committed.iter().filter(|(name, share)| !holds(name, share)).map(|(name, _)| name);
    let unknown = measured.keys().filter(|name| !committed.contains_key(*name));
    slow.chain(unknown).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(pairs: &[(&str, f64)]) -> Shares {
        pairs.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
    }

    #[test]
    fn a_row_that_falls_is_named() {
        let committed = shares(&[("near", 0.8), ("far", 0.5)]);
        assert!(fallen(&committed, &shares(&[("near", 0.61), ("far", 0.38)])).is_empty(), "within tolerance");
        assert!(fallen(&committed, &shares(&[("near", 1.2), ("far", 0.9)])).is_empty(), "better is fine");
        assert_eq!(fallen(&committed, &shares(&[("near", 0.59), ("far", 0.5)])), ["near"]);
        assert_eq!(fallen(&committed, &shares(&[("near", f64::NAN), ("far", 0.5)])), ["near"]);
    }

    #[test]
    fn a_row_that_is_gone_or_that_nobody_knows_fails_as_well() {
        let committed = shares(&[("near", 0.8)]);
        assert_eq!(fallen(&committed, &Shares::new()), ["near"]);
        assert_eq!(fallen(&committed, &shares(&[("near", 0.8), ("new", 0.9)])), ["new"]);
    }

    #[test]
    fn something_is_committed_for_every_row() {
        let committed: Shares = serde_json::from_str(include_str!("../committed.json")).unwrap();
        let names: Vec<String> = committed.into_keys().collect();
        let mut rows: Vec<String> = rows().iter().map(Row::name).collect();
        rows.sort();
        assert_eq!(names, rows);
    }
}
