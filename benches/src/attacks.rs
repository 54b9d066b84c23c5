//! `bench attacks`: nine of ten sources lie, and the one honest one has a narrow link; how much longer does a sync take than from it alone?
//!
//! - **In**: a lie, or all of them. **Out**: a figure a lie: times as long as without the liars, who was banned, what the liars were asked.
//! - **On failure**: a factor above its bar, an honest source that was banned, or a liar that was not where it must be, or was asked again, ends the run
//!   with 1.

use std::collections::BTreeMap;

use alys_figure::Figure;
use alys_wire::PeerId;
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::history::Kind;
use crate::judge::short;
use crate::newcomer::Asked;
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
/// Provable offences of which the last one bans.
const OFFENCES: u64 = 3;
/// Requests after which who brings nothing gets no more work.
const LEASES: u64 = 3;

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

    /// Whether the bytes that they send prove it.
    const fn is_provable(self) -> bool {
        matches!(self, Self::Height | Self::BadBodies | Self::BadApprovals)
    }

    /// How many of these requests come to nothing.
    const fn fruitless(self, asked: &Asked) -> u64 {
        match self {
            // They serve headers well.
            Self::Withhold => asked.bodies,
            _ => asked.headers + asked.bodies,
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
        Guests { links: Some(links), troubles, explained: false }
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
    /// Say meanwhile why the rate is what it is, on standard error.
    #[arg(long)]
    explain: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command: a clean run before each attack, and one behind the last, so that an attack stands beside what the machine gave just then.
#[expect(clippy::print_stdout, reason = "the table is what the command was asked for")]
pub fn run(command: &Attacks) -> Result<()> {
    let room = Room::new(Kind::Calldata10k, command.blocks, LIARS + 1)?;
    let lies = if command.lies.is_empty() { &Lie::ALL[..] } else { &command.lies };
    let (mut rows, mut missed) = (Vec::new(), 0);
    let mut before = clean(&room)?;
    for lie in lies {
        eprintln!("measuring {}", lie.name());
        let run = room.sync(&Guests { explained: command.explain, ..lie.guests() }, None)?;
        let behind = clean(&room)?;
        let attack = Attack::of(*lie, [before, behind], &run);
        before = behind;
        missed += usize::from(!attack.passes());
        if command.json {
            attack.figure().print(true);
        }
        rows.push(attack.cells());
    }
    if !command.json {
        let head = [
            "nine of ten",
            "seconds",
            "clean, before and behind",
            "times",
            "bar",
            "banned",
            "offences of a liar",
            "asked of a liar",
            "",
        ];
        print!("{}", render(&head, &rows));
    }
    ensure!(missed == 0, "{missed} of {} attacks cost more than they may", lies.len());
    Ok(())
}

/// Seconds of a sync from the honest one alone.
fn clean(room: &Room) -> Result<f64> {
    eprintln!("measuring the honest source alone");
    let guests = Guests { links: Some(vec![HONEST]), troubles: vec![None], explained: false };
    Ok(room.sync(&guests, None)?.took.as_secs_f64())
}

/// The most that is counted for any liar.
fn of_liars<T>(liars: &[PeerId], counted: &BTreeMap<String, T>, count: impl Fn(&T) -> u64) -> u64 {
    liars.iter().filter_map(|peer| counted.get(&peer.to_string())).map(count).max().unwrap_or(0)
}

/// What an attack did.
struct Attack {
    lie: Lie,
    seconds: f64,
    /// The clean runs before and behind it.
    clean: [f64; 2],
    liars_banned: usize,
    honest_banned: bool,
    /// The most requests that any liar got, of those that it brings nothing for.
    asked: u64,
    /// The most offences that any liar was blamed for.
    offences: u64,
}

impl Attack {
    fn of(lie: Lie, clean: [f64; 2], run: &Run) -> Self {
        let banned = |peer: &PeerId| run.inside.banned.contains(&peer.to_string());
        let (liars, honest) = run.peers.split_at(LIARS.min(run.peers.len()));
        Self {
            lie,
            seconds: run.took.as_secs_f64(),
            clean,
            liars_banned: liars.iter().filter(|peer| banned(peer)).count(),
            honest_banned: honest.iter().any(banned),
            asked: of_liars(liars, &run.inside.asked, |asked| lie.fruitless(asked)),
            offences: of_liars(liars, &run.inside.blamed, |&offences| offences),
        }
    }

    /// The faster of the clean runs: what disturbs one only ever slows it down.
    fn clean(&self) -> f64 {
        self.clean[0].min(self.clean[1])
    }

    fn factor(&self) -> f64 {
        self.seconds / self.clean()
    }

    fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                misses.push(what.to_owned());
            }
        };
        must(self.factor() <= self.lie.bar(), "too long");
        must(!self.honest_banned, "the honest one is banned");
        must(self.offences <= OFFENCES, "more offences than ban");
        if self.lie.is_provable() {
            must(self.liars_banned == LIARS, "not all liars are banned");
            must(self.offences > 0, "nobody is known to have offended");
        } else {
            must(self.asked <= LEASES, "a liar was asked too often");
        }
        misses
    }

    fn passes(&self) -> bool {
        self.misses().is_empty()
    }

    fn figure(&self) -> Figure {
        Figure::new(format!("attack/{}", self.lie.name()), self.factor(), "x")
            .column("bar", self.lie.bar())
            .column("seconds", self.seconds)
            .column("clean_seconds", self.clean())
            .column("clean_spread", (self.clean[0] - self.clean[1]).abs() / self.clean())
            .column("liars_banned", self.liars_banned)
            .column("honest_banned", self.honest_banned)
            .column("most_asked_of_a_liar", self.asked)
            .column("most_offences_of_a_liar", self.offences)
            .pass(self.passes())
    }

    fn cells(&self) -> Vec<String> {
        let misses = self.misses();
        let verdict =
            if misses.is_empty() { "pass".to_owned() } else { format!("MISSES: {}", misses.join(", ")) };
        vec![
            self.lie.name().to_owned(),
            short(self.seconds),
            format!("{} {}", short(self.clean[0]), short(self.clean[1])),
            short(self.factor()),
            short(self.lie.bar()),
            format!("{} of {LIARS}", self.liars_banned),
            self.offences.to_string(),
            self.asked.to_string(),
            verdict,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attack(lie: Lie, seconds: f64) -> Attack {
        Attack {
            lie,
            seconds,
            clean: [10.0, 11.0],
            liars_banned: 9,
            honest_banned: false,
            asked: 3,
            offences: 2,
        }
    }

    #[test]
    fn each_lie_has_its_bar_and_the_honest_one_must_stay() {
        assert!(attack(Lie::BadBodies, 11.9).passes() && !attack(Lie::BadBodies, 12.1).passes());
        assert!(attack(Lie::Drip, 12.4).passes() && !attack(Lie::Drip, 12.6).passes());
        let banned = Attack { honest_banned: true, ..attack(Lie::Height, 10.0) };
        assert_eq!(banned.misses(), ["the honest one is banned"]);
    }

    #[test]
    fn what_is_provable_bans_and_what_is_not_costs_the_work() {
        let free = |lie| Attack { liars_banned: 8, ..attack(lie, 10.0) };
        assert!(!free(Lie::BadBodies).passes() && free(Lie::Withhold).passes());
        let asked = |lie| Attack { asked: 4, ..attack(lie, 10.0) };
        assert!(asked(Lie::BadBodies).passes() && !asked(Lie::Withhold).passes());
        assert!(!Attack { offences: 4, ..attack(Lie::Height, 10.0) }.passes());
    }

    #[test]
    fn nine_lie_and_the_last_one_has_the_narrow_link() {
        for lie in Lie::ALL {
            let Guests { links, troubles, .. } = lie.guests();
            assert_eq!((links.unwrap()[LIARS], troubles[LIARS], troubles.len()), (HONEST, None, LIARS + 1));
        }
        assert_eq!(Lie::Drip.guests().links.unwrap()[0].drips_after, Some(DRIPS_AFTER));
    }
}
