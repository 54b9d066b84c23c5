//! Why the sync is as fast as it is, on one screen: the limit, who holds the head, who was blamed on what proof, the bounds that requests are
//! made by, and what the operator may change.
//!
//! - **In**: [`Explain`], from sync. **Out**: lines.

use std::time::Duration;

use alys_chain::Moment;
use alys_rpc::status::ExplainInfo;
use alys_sync::explain::{PeerLine, Tuning};
use alys_sync::{Entry, Explain, Hedged, Report, Spent};

use crate::console::{grouped, table};

/// How many events the screen shows: with the rest it fits a terminal of 50 lines.
const EVENTS: usize = 14;
/// How many peers it shows: those who owe the most.
const PEERS: usize = 8;

/// The screen, and the same for programs.
#[must_use]
pub fn info(explain: &Explain, now: Moment) -> ExplainInfo {
    let detail = serde_json::to_value(explain).expect("string keys and plain values");
    ExplainInfo { lines: screen(explain, now), detail }
}

fn screen(explain: &Explain, now: Moment) -> Vec<String> {
    let target = explain.target.map_or_else(|| "unknown".to_owned(), |target| grouped(target.get()));
    let budget = &explain.budget;
    let (used, headers, total) = (budget.used >> 20, budget.headers >> 20, budget.total >> 20);
    let mut lines = vec![
        format!(
            "state    {}, height {} of {target}, {} blocks/s",
            explain.mode,
            grouped(explain.height.get()),
            grouped(explain.blocks_per_second)
        ),
        format!("limit    {}", explain.limit),
        format!("time     {}", spent(&explain.spent)),
        format!("waiting  for {}", explain.waiting_for),
        format!("head     {}", head(explain)),
        format!("budget   {used} of {total} MiB, of these {headers} for headers"),
    ];
    lines.push(hedged(&explain.hedged));
    lines.push(bounds(&explain.tuning));
    lines.extend(explain.recommendations.iter().map(|advice| format!("advice   {advice}")));
    lines.extend(peers(&explain.peers));
    lines.extend(events(&explain.recorder, now));
    lines
}

/// Within what the terms of each peer follow its link.
fn bounds(tuning: &Tuning) -> String {
    let (least, most) = tuning.timeouts;
    format!(
        "tuning   chunks of {} ms up to {} MiB, {} a peer; {} times the expected time, {} to {} ms; from {} KB/s on; skeleton {} ahead, bodies {}",
        tuning.chunk_time.as_millis(),
        tuning.most_chunk_bytes >> 20,
        tuning.most_in_flight,
        tuning.patience,
        least.as_millis(),
        most.as_millis(),
        tuning.least_bandwidth / 1_000,
        grouped(tuning.skeleton_ahead),
        grouped(tuning.bodies_ahead)
    )
}

/// What was asked of a second peer, and what it cost.
fn hedged(hedged: &Hedged) -> String {
    format!(
        "hedged   {} bodies in {} requests, {} won; {} KB came twice, {} KB more may",
        grouped(hedged.bodies),
        grouped(hedged.requests),
        grouped(hedged.won),
        grouped(hedged.duplicate_bytes / 1_000),
        grouped(hedged.left_bytes / 1_000)
    )
}

/// Where the time of the last seconds went, in percent of the time in which there was something to do.
fn spent(spent: &Spent) -> String {
    let working = spent.network + spent.verify + spent.import;
    if working.is_zero() {
        return "nothing was to be done in the last 10 s".to_owned();
    }
    let share = |part: Duration| part.as_millis() * 100 / working.as_millis().max(1);
    format!(
        "network {} %, verify {} %, import {} % (execute {} %, disk {} %), over the last 10 s",
        share(spent.network),
        share(spent.verify),
        share(spent.import),
        share(spent.execute),
        share(spent.commit)
    )
}

fn head(explain: &Explain) -> String {
    let now = match &explain.head {
        Some(head) => {
            let hedged =
                head.hedged_with.map_or_else(String::new, |peer| format!(", asked of {peer:?} as well"));
            format!(
                "height {} is with {:?} for {} ms{hedged}",
                grouped(head.height.get()),
                head.peer,
                head.held_for.as_millis()
            )
        }
        None => "nobody holds it".to_owned(),
    };
    let slowest = explain.slowest.map(|slowest| {
        format!("; longest waited for lately: {:?}, {} ms", slowest.peer, slowest.waited.as_millis())
    });
    now + &slowest.unwrap_or_default()
}

fn peers(all: &[PeerLine]) -> Vec<String> {
    if all.is_empty() {
        return vec!["peers    none".to_owned()];
    }
    let mut all: Vec<&PeerLine> = all.iter().collect();
    all.sort_by_key(|peer| std::cmp::Reverse((peer.owed, peer.bandwidth)));
    let heading = [
        "peer",
        "proven",
        "rate",
        "rtt",
        "at once",
        "in flight",
        "timeout",
        "requests",
        "owes",
        "strikes",
        "rests",
    ]
    .map(str::to_owned);
    let mut rows = vec![heading.to_vec()];
    rows.extend(all.iter().take(PEERS).map(|peer| {
        vec![
            format!("{:?}", peer.peer),
            peer.proven.map_or_else(|| "-".to_owned(), |height| grouped(height.get())),
            format!("{}.{} MB/s", peer.bandwidth / 1_000_000, peer.bandwidth / 100_000 % 10),
            format!("{} ms", peer.rtt.as_millis()),
            format!("{} KB", grouped(peer.terms.chunk_bytes / 1_000)),
            format!("{} KB", grouped(peer.terms.in_flight_bytes / 1_000)),
            format!("{} ms", peer.terms.timeout.as_millis()),
            peer.leases.to_string(),
            format!("{} KB", grouped(peer.owed / 1_000)),
            peer.strikes.to_string(),
            format!("{} ms", peer.rests_for.as_millis()),
        ]
    }));
    let mut lines = vec![format!("peers    {}", all.len())];
    lines.extend(table(&rows).lines().map(|line| format!("  {line}")));
    lines
}

fn events(recorder: &[Entry], now: Moment) -> Vec<String> {
    let told =
        recorder.iter().rev().filter_map(|entry| Some((now.since(entry.at), describe(&entry.report)?)));
    let mut lines: Vec<String> =
        told.take(EVENTS).map(|(ago, what)| format!("  {:>6} s ago  {what}", ago.as_secs())).collect();
    lines.reverse();
    let heading = if lines.is_empty() { "events   none" } else { "events" };
    lines.insert(0, heading.to_owned());
    lines
}

/// What of the flight recorder is worth a line: what explains the rate. The rest is in the JSON.
fn describe(report: &Report) -> Option<String> {
    Some(match report {
        Report::ModeChanged { from, to, waiting_for } => format!("{from} -> {to}, waiting for {waiting_for}"),
        Report::Blamed { peer, offence, proof } => {
            let block = proof.block.map_or_else(String::new, |block| format!(", block {block}"));
            let heights = proof.heights.map_or_else(String::new, |range| {
                format!(", asked for heights {} to {}", range.start, range.end.get().saturating_sub(1))
            });
            format!("blamed {peer:?}: {offence}{block}{heights}")
        }
        Report::Hedged { heights, slow, held_for, expected, with } => format!(
            "heights {} to {} asked of {with:?} as well: {slow:?} has taken {} ms, {} were to be expected",
            heights.start,
            heights.end.get().saturating_sub(1),
            held_for.as_millis(),
            expected.as_millis()
        ),
        Report::Tuned { peer, from, to, reason } => {
            format!("{peer:?} is asked for {to}, no longer {from}, for {reason}")
        }
        Report::WasAway { away } => {
            format!("nothing ran here for {} ms: the requests go on where they were", away.as_millis())
        }
        Report::SetBack { peer, strikes } => format!("set back {peer:?}: {strikes} requests came to nothing"),
        Report::Stalled { waiting_for, .. } => format!("stood still, waiting for {waiting_for}"),
        Report::ImportFailing { reason, attempts, .. } => {
            format!("import failed, attempt {attempts}: {reason}")
        }
        Report::ImportRecovered { attempts } => format!("imports work again, after {attempts} failures"),
        Report::TargetDropped { target } => {
            format!("nobody serves the way to height {}: set aside", target.height)
        }
        Report::SteppedBack { head, .. } => {
            format!("stepped back from height {} to the final block", head.height)
        }
        Report::SuspectOurselves { suspect: true } => {
            "most peers fail at once: we suspect ourselves".to_owned()
        }
        Report::GateCrossed(crossing) => {
            let changed: Vec<String> = crossing.changed.iter().map(|c| c.name.to_string()).collect();
            format!("gate {}: {}", if crossing.open { "opened" } else { "closed" }, changed.join(", "))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use alys_chain::{BlockId, Height, HeightRange};
    use alys_sync::explain::{BudgetUse, Head};
    use alys_sync::{Limit, Mode, Offence, Proof, Recommendation, Terms, WaitingFor};
    use alys_wire::PeerId;

    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_bytes(&[n; 38]).unwrap()
    }

    const fn terms() -> Terms {
        Terms { chunk_bytes: 875_000, in_flight_bytes: 975_000, timeout: Duration::from_millis(1_290) }
    }

    fn reports() -> [Report; 4] {
        let proof = Proof { block: Some(BlockId([1; 32])), ..Proof::default() };
        [
            Report::Blamed { peer: peer(1), offence: Offence::BadBody, proof },
            Report::Hedged {
                heights: HeightRange::new(Height(5_001), Height(5_041)),
                slow: peer(2),
                held_for: Duration::from_millis(300),
                expected: Duration::from_millis(150),
                with: peer(3),
            },
            Report::Tuned {
                peer: peer(2),
                from: terms(),
                to: Terms { chunk_bytes: 1_750_000, ..terms() },
                reason: alys_sync::terms::Reason::Bandwidth,
            },
            Report::Finished { at: Height(1) },
        ]
    }

    fn explain() -> Explain {
        let at = Moment(Duration::from_secs(5));
        let line = PeerLine {
            peer: peer(2),
            authority: None,
            proven: Some(Height(9_000)),
            bandwidth: 2_500_000,
            rtt: Duration::from_millis(40),
            samples: 9,
            terms: terms(),
            leases: 2,
            owed: 4_000_000,
            strikes: 0,
            rests_for: Duration::ZERO,
        };
        Explain {
            mode: Mode::Bulk,
            height: Height(5_000),
            target: Some(Height(9_000)),
            blocks_per_second: 1_200,
            waiting_for: WaitingFor::Import,
            limit: Limit::Disk,
            spent: Spent {
                import: Duration::from_millis(900),
                commit: Duration::from_millis(700),
                network: Duration::from_millis(100),
                ..Spent::default()
            },
            slowest: None,
            head: Some(Head {
                height: Height(5_001),
                peer: peer(2),
                held_for: Duration::from_millis(120),
                hedged_with: Some(peer(3)),
            }),
            peers: vec![line],
            budget: BudgetUse { used: 16 << 20, headers: 2 << 20, total: 256 << 20 },
            hedged: Hedged { requests: 3, bodies: 40, won: 38, duplicate_bytes: 20_000, left_bytes: 900_000 },
            tuning: Tuning {
                chunk_time: Duration::from_millis(350),
                most_chunk_bytes: 16 << 20,
                most_in_flight: 8,
                patience: 3,
                timeouts: (Duration::from_millis(750), Duration::from_secs(10)),
                least_bandwidth: 10_000,
                skeleton_ahead: 8_192,
                bodies_ahead: 2_700,
            },
            recommendations: vec![Recommendation::FasterDisk],
            recorder: reports().into_iter().map(|report| Entry { at, report }).collect(),
        }
    }

    #[test]
    fn one_screen_says_why_the_rate_is_what_it_is() {
        let text = screen(&explain(), Moment(Duration::from_secs(12))).join("\n");
        for part in [
            "bulk, height 5,000 of 9,000, 1,200 blocks/s",
            "limit    disk",
            "network 10 %, verify 0 %, import 90 % (execute 0 %, disk 70 %)",
            "for 120 ms, asked of",
            "16 of 256 MiB, of these 2 for headers",
            "40 bodies in 3 requests, 38 won; 20 KB came twice, 900 KB more may",
            "is asked for 1750 KB at once, 975 KB in flight, 1290 ms, no longer 875 KB",
            "chunks of 350 ms up to 16 MiB, 8 a peer; 3 times the expected time, 750 to 10000 ms",
            "skeleton 8,192 ahead, bodies 2,700",
            "s ago  heights 5001 to 5040 asked of",
            "has taken 300 ms, 150 were to be expected",
            "faster flushes",
            "9,000   2.5 MB/s  40 ms",
            "7 s ago  blamed",
            ", block 0x0101",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().count() < 50, "one screen: {text}");
    }

    #[test]
    fn programs_get_the_same_as_a_value() {
        let info = info(&explain(), Moment::START);
        assert_eq!(info.detail["limit"], "disk");
        assert_eq!(info.detail["peers"][0]["owed"], 4_000_000);
    }
}
