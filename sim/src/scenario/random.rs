//! Anything may happen: 5 to 20 nodes, late ones, a change of the set, and faults as the seed has it.

use std::time::Duration;

use alys_actor::Randomness;
use rand_core::Rng;

use crate::faults::{Dice, Fault, Frame, Timed, draw, weather};
use crate::plan::{Change, Plan, SLOT, start_of};

/// How large worlds are, and how long they live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Mostly five to seven nodes: what costs is mostly signatures, and their number grows with the square of it.
    #[default]
    Usual,
    /// Five to twenty nodes alike, and three times the faulty time.
    Full,
}

/// The faulty time begins here: late enough for a chain to be there, early enough for some seeds to disturb its beginning.
const FIRST_FAULTS: u64 = 3;

/// How long a node that comes late is busy with the chain, about: it dials, proves heads, and fetches what is there.
const FETCHING: Duration = Duration::from_millis(1_500);

/// A world of this seed.
#[must_use]
pub fn plan(seed: u64, scale: Scale) -> Plan {
    let mut dice = Dice(Randomness::seeded(seed).stream("plan"));
    let nodes = size(&mut dice, scale);
    let authorities = 4 + dice.index(nodes.min(7) - 3);
    let faulty = match scale {
        Scale::Usual => 12 + dice.below(24),
        Scale::Full => 36 + dice.below(72),
    };
    let mut plan = Plan::calm("random", seed, authorities).quiet_from(FIRST_FAULTS + faulty);
    (plan.nodes, plan.link) = (nodes, weather(&mut dice));
    let frame = Frame { nodes, from: FIRST_FAULTS, quiet: plan.quiet };
    plan.faults = draw(&mut dice, frame, plan.link);
    plan.change = change(&mut dice, &plan);
    let late = late(&mut dice, &plan);
    let mut kills = Dice(Randomness::seeded(seed).stream("kills of the late"));
    plan.faults.extend(kill_while_they_fetch(&mut kills, &late, &plan));
    plan.faults.extend(late);
    plan.faults.sort_by_key(|timed| timed.at);
    plan
}

fn size<R: Rng>(dice: &mut Dice<R>, scale: Scale) -> usize {
    match (scale, dice.below(100)) {
        (Scale::Usual, 0..80) => 5 + dice.index(3),
        (Scale::Usual, 80..95) => 8 + dice.index(4),
        (Scale::Usual, _) | (Scale::Full, _) => 5 + dice.index(16),
    }
}

/// In a quarter of the worlds an authority is replaced by a full node, if there is one.
fn change<R: Rng>(dice: &mut Dice<R>, plan: &Plan) -> Option<Change> {
    if !dice.percent(25) || plan.nodes == plan.authorities {
        return None;
    }
    let slot = 5 + dice.below(plan.quiet - 5);
    let mut authorities: Vec<usize> = (0..plan.authorities).collect();
    authorities[dice.index(plan.authorities)] = plan.authorities;
    Some(Change { slot, authorities })
}

/// One or two nodes that no fault starts or stops come late, and with nothing.
fn late<R: Rng>(dice: &mut Dice<R>, plan: &Plan) -> Vec<Timed> {
    let untouched = |node: &usize| plan.faults.iter().all(|timed| timed.fault.runs(*node).is_none());
    let mut free: Vec<usize> = (0..plan.nodes).filter(untouched).collect();
    let mut late = Vec::new();
    for _ in 0..=dice.below(2) {
        if free.is_empty() {
            break;
        }
        let node = free.swap_remove(dice.index(free.len()));
        let slots = u32::try_from(plan.quiet).expect("a few slots");
        let at = (Duration::from_millis(1) + dice.time(SLOT * slots)).min(start_of(plan.quiet));
        late.push(Timed { at, fault: Fault::Start { node } });
    }
    late
}

/// Half of those that come late are killed while they fetch the chain, some with their power, and begin again from what is on their disks.
fn kill_while_they_fetch<R: Rng>(dice: &mut Dice<R>, late: &[Timed], plan: &Plan) -> Vec<Timed> {
    let mut kills = Vec::new();
    for Timed { at, fault } in late {
        let Fault::Start { node } = *fault else { continue };
        let (killed, again) = (
            *at + dice.time(FETCHING).max(Duration::from_millis(1)),
            *at + FETCHING + dice.time(SLOT).max(Duration::from_millis(1)),
        );
        let power = dice.percent(50);
        if dice.percent(50) && again <= start_of(plan.quiet) {
            kills.push(Timed { at: killed, fault: Fault::Crash { node, power } });
            kills.push(Timed { at: again, fault: Fault::Start { node } });
        }
    }
    kills
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_are_as_large_as_they_should_be() {
        for seed in 0..300 {
            for scale in [Scale::Usual, Scale::Full] {
                let plan = plan(seed, scale);
                assert!((5..=20).contains(&plan.nodes), "seed {seed}: {} nodes", plan.nodes);
                assert!((4..=7).contains(&plan.authorities), "seed {seed}");
                assert!(plan.authorities <= plan.nodes, "seed {seed}");
                assert!(plan.early().len() < plan.nodes, "seed {seed}: nobody comes late");
                assert!(plan.faults.iter().all(|timed| timed.at <= start_of(plan.quiet)), "seed {seed}");
                if let Some(change) = &plan.change {
                    assert_eq!(change.authorities.len(), plan.authorities, "seed {seed}");
                    assert!(change.slot < plan.quiet, "seed {seed}");
                }
            }
        }
        let sizes = |scale| (0..300).map(|seed| plan(seed, scale).nodes).max();
        assert_eq!((sizes(Scale::Usual), sizes(Scale::Full)), (Some(20), Some(20)));
    }

    #[test]
    fn some_of_those_that_come_late_are_killed_while_they_fetch_the_chain() {
        let killed = |seed: u64| {
            let plan = plan(seed, Scale::Usual);
            let of = |node: usize| plan.faults.iter().filter_map(move |timed| timed.fault.runs(node));
            (0..plan.nodes).any(|node| of(node).eq([true, false, true]))
        };
        let count = (0..300).filter(|&seed| killed(seed)).count();
        assert!((60..240).contains(&count), "{count} of 300");
    }

    #[test]
    fn a_seed_is_a_world() {
        let text = |seed| format!("{:?}", plan(seed, Scale::Usual));
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
    }
}
