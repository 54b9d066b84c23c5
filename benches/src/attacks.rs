//! `bench attacks`: nine of ten sources lie, and the one honest one has a narrow link; how much longer does a sync take than from it alone?
//!
//! - **In**: a lie, or all of them. **Out**: a figure a lie: times as long as without the liars, who was banned, what the liars were asked.
//! - **On failure**: a factor above its bar, an honest source that was banned, or a liar that was not where it must be, ends the run with 1.

use alys_figure::Figure;
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::history::Kind;
use crate::judge::short;
use crate::proxy::Link;
use crate::room::{Guests, Room, Run};
use crate::table::render;
use crate::trouble::Trouble;

/// How many sources lie.
const LIARS: usize = 9;
/// The link to the honest one: narrow enough to be the limit, with the way to another country.
const HONEST: Link = Link::new(10_000_000, 40);
/// What a source that drips has sent before it begins to: the handshake, and the start of its first answer.
const DRIPS_AFTER: u64 = 64 << 10;

/// What the liars do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lie {
    /// They claim the greatest integer as their height.
    Height,
    /// They serve headers and withhold bodies.
    Withhold,
    /// They serve bodies that are not those of the blocks.
    BadBodies,
    /// They serve headers with approvals of other blocks.
    BadApprovals,
    /// They send one byte a second.
    Drip,
}

impl Lie {
    const ALL: [Self; 5] = [Self::Height, Self::Withhold, Self::BadBodies, Self::BadApprovals, Self::Drip];

    const fn name(self) -> &'static str {
        match self {
            Self::Height => "height",
            Self::Withhold => "withhold",
            Self::BadBodies => "bad_bodies",
            Self::BadApprovals => "bad_approvals",
            Self::Drip => "drip",
        }
    }

    const fn trouble(self) -> Option<Trouble> {
        match self {
            Self::Height => Some(Trouble::Height),
            Self::Withhold => Some(Trouble::Withhold),
            Self::BadBodies => Some(Trouble::BadBodies),
            Self::BadApprovals => Some(Trouble::BadApprovals),
            // The link drips, whatever the source says.
            Self::Drip => None,
        }
    }

    /// How many times the clean run it may take.
    const fn bar(self) -> f64 {
        match self {
            Self::Withhold | Self::Drip => 1.25,
            Self::Height | Self::BadBodies | Self::BadApprovals => 1.2,
        }
    }

    fn guests(self) -> Guests {
        let drips_after = (self == Self::Drip).then_some(DRIPS_AFTER);
        let mut links = vec![Link { drips_after, ..Link::default() }; LIARS];
        let mut troubles = vec![self.trouble(); LIARS];
        links.push(HONEST);
        troubles.push(None);
        Guests { links: Some(links), troubles }
    }
}

/// The arguments of `bench attacks`.
#[derive(Debug, Args)]
pub struct Attacks {
    /// What the liars do; one after the other if it is left out.
    #[arg(long = "lie", value_enum, value_delimiter = ',')]
    lies: Vec<Lie>,
    /// How many blocks of 10 kB.
    #[arg(long, default_value_t = 20_000)]
    blocks: u64,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "the table is what the command was asked for")]
pub fn run(command: &Attacks) -> Result<()> {
    let room = Room::new(Kind::Calldata10k, command.blocks, LIARS + 1)?;
    eprintln!("measuring the honest source alone");
    let clean = room.sync(&Guests { links: Some(vec![HONEST]), troubles: vec![None] }, None)?;
    let lies = if command.lies.is_empty() { &Lie::ALL[..] } else { &command.lies };
    let (mut rows, mut missed) = (Vec::new(), 0);
    for lie in lies {
        eprintln!("measuring {}", lie.name());
        let attack = Attack::of(*lie, &clean, &room.sync(&lie.guests(), None)?);
        missed += usize::from(!attack.passes());
        if command.json {
            attack.figure().print(true);
        }
        rows.push(attack.cells());
    }
    if !command.json {
        let head = ["nine of ten", "seconds", "clean", "times", "bar", "banned", "asked of a liar", ""];
        print!("{}", render(&head, &rows));
    }
    ensure!(missed == 0, "{missed} of {} attacks cost more than they may", lies.len());
    Ok(())
}

/// What an attack did.
struct Attack {
    lie: Lie,
    seconds: f64,
    clean: f64,
    liars_banned: usize,
    honest_banned: bool,
    /// The most requests for bodies that any liar got.
    asked: u64,
}

impl Attack {
    fn of(lie: Lie, clean: &Run, run: &Run) -> Self {
        let banned = |peer: &alys_wire::PeerId| run.inside.banned.contains(&peer.to_string());
        let (liars, honest) = run.peers.split_at(LIARS.min(run.peers.len()));
        Self {
            lie,
            seconds: run.took.as_secs_f64(),
            clean: clean.took.as_secs_f64(),
            liars_banned: liars.iter().filter(|peer| banned(peer)).count(),
            honest_banned: honest.iter().any(banned),
            asked: run.asked.iter().take(LIARS).copied().max().unwrap_or(0),
        }
    }

    fn factor(&self) -> f64 {
        self.seconds / self.clean
    }

    fn passes(&self) -> bool {
        self.factor() <= self.lie.bar() && !self.honest_banned
    }

    fn figure(&self) -> Figure {
        Figure::new(format!("attack/{}", self.lie.name()), self.factor(), "x")
            .column("bar", self.lie.bar())
            .column("seconds", self.seconds)
            .column("clean_seconds", self.clean)
            .column("liars_banned", self.liars_banned)
            .column("honest_banned", self.honest_banned)
            .column("most_asked_of_a_liar", self.asked)
            .pass(self.passes())
    }

    fn cells(&self) -> Vec<String> {
        let verdict = match (self.honest_banned, self.passes()) {
            (true, _) => "MISSES: the honest one is banned",
            (false, true) => "pass",
            (false, false) => "MISSES",
        };
        vec![
            self.lie.name().to_owned(),
            short(self.seconds),
            short(self.clean),
            short(self.factor()),
            short(self.lie.bar()),
            format!("{} of {LIARS}", self.liars_banned),
            self.asked.to_string(),
            verdict.to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attack(lie: Lie, seconds: f64) -> Attack {
        Attack { lie, seconds, clean: 10.0, liars_banned: 9, honest_banned: false, asked: 3 }
    }

    #[test]
    fn each_lie_has_its_bar_and_the_honest_one_must_stay() {
        assert!(attack(Lie::BadBodies, 11.9).passes() && !attack(Lie::BadBodies, 12.1).passes());
        assert!(attack(Lie::Drip, 12.4).passes() && !attack(Lie::Drip, 12.6).passes());
        let banned = Attack { honest_banned: true, ..attack(Lie::Height, 10.0) };
        assert!(!banned.passes() && banned.cells()[7].contains("honest"));
    }

    #[test]
    fn nine_lie_and_the_last_one_has_the_narrow_link() {
        for lie in Lie::ALL {
            let Guests { links, troubles } = lie.guests();
            assert_eq!((links.unwrap()[LIARS], troubles[LIARS], troubles.len()), (HONEST, None, LIARS + 1));
        }
        assert_eq!(Lie::Drip.guests().links.unwrap()[0].drips_after, Some(DRIPS_AFTER));
    }
}
