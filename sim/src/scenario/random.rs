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
    fn a_seed_is_a_world() {
        let text = |seed| format!("{:?}", plan(seed, Scale::Usual));
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
    }
}
