//! Did the devnet show what it must? Decided from what was observed, nothing else.

use std::collections::BTreeMap;

/// What was observed of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its number.
    pub number: usize,
    /// Whether it started empty.
    pub newcomer: bool,
    /// Whether it is an authority.
    pub authority: bool,
    /// How it ended before it was told to, if it did.
    pub crashed: Option<String>,
    /// The height of its last final block.
    pub final_height: u64,
    /// The ids of its canonical blocks at the heights that were compared.
    pub blocks: BTreeMap<u64, String>,
    /// Whether it reported that it is synced.
    pub synced: bool,
    /// Its own blocks in the final chain.
    pub own_final_blocks: u64,
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What was seen.
    pub seen: String,
}

/// Judges a run. `history` is the height that the established nodes began with.
#[must_use]
pub fn judge(nodes: &[Observed], history: u64) -> Vec<Finding> {
    let mut findings = vec![nothing_crashed(nodes), same_final_chain(nodes), chain_grew(nodes, history)];
    if nodes.iter().any(|node| node.newcomer) {
        findings.push(newcomers_synced(nodes));
    }
    if nodes.iter().any(|node| node.newcomer && node.authority) {
        findings.push(newcomers_produced(nodes));
    }
    findings
}

fn nothing_crashed(nodes: &[Observed]) -> Finding {
    let crashes: Vec<_> = nodes
        .iter()
        .filter_map(|n| n.crashed.as_ref().map(|how| format!("node {} {how}", n.number)))
        .collect();
    Finding { what: "nothing crashed", holds: crashes.is_empty(), seen: or(crashes.join(", "), "no crash") }
}

fn same_final_chain(nodes: &[Observed]) -> Finding {
    let mut seen: BTreeMap<u64, &String> = BTreeMap::new();
    let mut conflict = None;
    for node in nodes {
        for (height, id) in &node.blocks {
            let first = seen.entry(*height).or_insert(id);
            if *first != id {
                conflict = Some(format!("height {height}: {first} and, at node {}, {id}", node.number));
            }
        }
    }
    let compared = nodes.iter().all(|node| !node.blocks.is_empty());
    let lowest = nodes.iter().map(|node| node.final_height).min().unwrap_or(0);
    Finding {
        what: "all nodes agree on the final chain",
        holds: conflict.is_none() && compared,
        seen: conflict.unwrap_or_else(|| match compared {
            true => format!("{} blocks compared up to height {lowest}", seen.len()),
            false => "a node answered for no block".into(),
        }),
    }
}

fn chain_grew(nodes: &[Observed], history: u64) -> Finding {
    let lowest = nodes.iter().map(|node| node.final_height).min().unwrap_or(0);
    Finding {
        what: "the final chain grew on every node",
        holds: lowest > history,
        seen: format!("lowest final height {lowest}, the history had {history}"),
    }
}

fn newcomers_synced(nodes: &[Observed]) -> Finding {
    let missing: Vec<_> =
        nodes.iter().filter(|n| n.newcomer && !n.synced).map(|n| n.number.to_string()).collect();
    Finding {
        what: "the newcomer synced",
        holds: missing.is_empty(),
        seen: if missing.is_empty() {
            "synced".into()
        } else {
            format!("not synced: node {}", missing.join(", "))
        },
    }
}

fn newcomers_produced(nodes: &[Observed]) -> Finding {
    let of =
        |node: &Observed| format!("node {}: {} final blocks of its own", node.number, node.own_final_blocks);
    let newcomers = || nodes.iter().filter(|node| node.newcomer && node.authority);
    Finding {
        what: "the newcomer produced",
        holds: newcomers().all(|node| node.own_final_blocks > 0),
        seen: newcomers().map(of).collect::<Vec<_>>().join(", "),
    }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Vec<Observed> {
        let node = |number: usize| Observed {
            number,
            newcomer: number == 3,
            authority: true,
            crashed: None,
            final_height: 110,
            blocks: [(110, "0xa".to_owned())].into(),
            synced: true,
            own_final_blocks: 2,
        };
        (1..=3).map(node).collect()
    }

    fn failing(nodes: &[Observed]) -> Vec<&'static str> {
        judge(nodes, 100).into_iter().filter(|finding| !finding.holds).map(|finding| finding.what).collect()
    }

    #[test]
    fn a_good_run_has_nothing_against_it() {
        assert_eq!(failing(&good()), [""; 0]);
        assert_eq!(judge(&good(), 100).len(), 5);
    }

    #[test]
    fn each_defect_is_found_by_its_name() {
        let with = |change: fn(&mut Observed)| {
            let mut nodes = good();
            change(&mut nodes[2]);
            nodes
        };
        assert_eq!(
            failing(&with(|n| n.crashed = Some("was killed by signal 9".into()))),
            ["nothing crashed"]
        );
        let fork = with(|n| n.blocks = [(110, "0xb".to_owned())].into());
        assert_eq!(failing(&fork), ["all nodes agree on the final chain"]);
        let silent = with(|n| n.blocks.clear());
        assert_eq!(failing(&silent), ["all nodes agree on the final chain"]);
        assert_eq!(failing(&with(|n| n.final_height = 100)), ["the final chain grew on every node"]);
        assert_eq!(failing(&with(|n| n.synced = false)), ["the newcomer synced"]);
        assert_eq!(failing(&with(|n| n.own_final_blocks = 0)), ["the newcomer produced"]);
    }

    #[test]
    fn without_newcomers_nobody_has_to_sync() {
        let mut nodes = good();
        nodes[2].newcomer = false;
        assert_eq!(judge(&nodes, 100).len(), 3);
    }
}
