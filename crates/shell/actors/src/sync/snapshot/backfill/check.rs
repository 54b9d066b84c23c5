//! What must be true of headers and bodies of the past before they are stored. Pure.

use alys_actor::Stream;
use alys_chain::batch::{self, Entry, Search};
use alys_chain::verify::{self, Parent};
use alys_chain::{BlockId, Body, CertifiedHeader, Height, Invalid, Lineage, Rules, UnixMillis, finality};
use alys_sync::{Fault, Offence};
use alys_wire::limits::MAX_HEADERS_PER_REQUEST;

use super::super::super::verify::offence;
use crate::chain::snapshot::Backfilled;

/// A header with its lineage, to be stored.
pub(super) type Known = (CertifiedHeader, Lineage);

/// Headers right below the lowest body, fetched downward until there is something that they can stand on. How many there can be is up to our own chain
/// and to nobody who serves it: each is linked to a header that is known before it is kept.
pub(super) struct Descent {
    /// The lowest height that is here, and the parent of that block.
    lowest: (Height, BlockId),
    /// Each ascending, the highest first.
    ranges: Vec<Vec<CertifiedHeader>>,
    grounded: bool,
}

impl Descent {
    /// From the lowest body on, whose block has this parent.
    pub fn new(earliest: Height, parent: BlockId) -> Self {
        Self { lowest: (earliest, parent), ranges: Vec::new(), grounded: false }
    }

    /// The range to be fetched next; none when they have something to stand on.
    pub fn next(&self) -> Option<(Height, u32)> {
        let lowest = self.lowest.0.get();
        let from = lowest.saturating_sub(u64::from(MAX_HEADERS_PER_REQUEST)).max(1);
        let count = u32::try_from(lowest.saturating_sub(from)).unwrap_or(MAX_HEADERS_PER_REQUEST);
        (!self.grounded && count > 0).then_some((Height(from), count))
    }

    /// Takes that range, if it is linked to what is here.
    ///
    /// # Errors
    /// [`Offence::BadHeader`].
    pub fn take(&mut self, range: Vec<CertifiedHeader>) -> Result<(), Fault> {
        let mut parent = self.lowest.1;
        for CertifiedHeader { header, .. } in range.iter().rev() {
            if header.id() != parent {
                return Err(Fault::Peer(Offence::BadHeader));
            }
            parent = header.parent;
        }
        let Some(first) = range.first().map(|first| first.header.height) else { return Ok(()) };
        let above = self.ranges.last().into_iter().flatten();
        // The pair may lie across the border; one header above it at least is what it is for.
        let headers: Vec<_> = range.iter().chain(above.take(2)).collect();
        self.grounded = first == Height(1)
            || headers.windows(3).any(|three| finality::follows(&three[0].header, &three[1].header));
        self.lowest = (first, parent);
        self.ranges.push(range);
        Ok(())
    }

    /// All of them, ascending.
    pub fn into_headers(self) -> Vec<CertifiedHeader> {
        self.ranges.into_iter().rev().flatten().collect()
    }
}

/// The headers of a linked range that can be stored, with their lineage: those that stand on genesis, or on the lowest two in consecutive slots.
///
/// # Errors
/// The fault of who served them.
pub(super) fn check(
    rules: &Rules,
    headers: &[CertifiedHeader],
    now: UnixMillis,
    mut rng: Stream,
) -> Result<Vec<Known>, Fault> {
    let peers = |invalid: &Invalid| Fault::Peer(offence(invalid));
    let (mut parent, headers) = ground(rules, headers)?;
    let linked = verify::link_range(rules, &parent, headers, now).map_err(|fault| peers(&fault.invalid))?;
    let entries: Vec<Entry<'_>> = linked.entries(headers).collect();
    if let Some((_, invalid)) = batch::verify(rules, &entries, Search::First, &mut rng).faults.pop_first() {
        return Err(peers(&invalid));
    }
    let known = headers.iter().map(|header| {
        parent = parent.child(header.header);
        (*header, parent.lineage)
    });
    Ok(known.collect())
}

/// What the range stands on, and the rest of it.
fn ground<'a>(
    rules: &Rules,
    headers: &'a [CertifiedHeader],
) -> Result<(Parent, &'a [CertifiedHeader]), Fault> {
    if headers.first().is_some_and(|first| first.header.height == Height(1)) {
        return Ok((Parent::genesis(rules), headers));
    }
    let pair = headers.windows(3).position(|three| finality::follows(&three[0].header, &three[1].header));
    let none = || Fault::Ours("no two of these headers stand in consecutive slots".to_owned());
    let at = pair.ok_or_else(none)?;
    let parent =
        finality::settle(rules, &headers[at..]).map_err(|fault| Fault::Peer(offence(&fault.invalid)))?;
    Ok((parent, &headers[at + 2..]))
}

/// The blocks that have come whole, ascending. `bodies` are those of the last headers, the highest first.
///
/// # Errors
/// The fault of who served them.
pub(super) fn join(headers: &[Known], bodies: Vec<Body>) -> Result<Vec<Backfilled>, Fault> {
    let whole = headers.iter().rev().zip(bodies);
    let mut blocks = whole
        .map(|((header, lineage), body)| match body.root() {
            Ok(root) if root == header.header.body_root => {
                Ok(Backfilled { header: *header, lineage: *lineage, body })
            }
            _ => Err(Fault::Peer(Offence::BadBody)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if blocks.is_empty() {
        return Err(Fault::Moment("the peer does not have these bodies".to_owned()));
    }
    blocks.reverse();
    Ok(blocks)
}
