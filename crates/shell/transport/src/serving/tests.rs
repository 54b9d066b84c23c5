use std::sync::Mutex;

use alys_chain::{CertifiedHeader, Height};
use alys_wire::limits::NONCE_BYTES;

use super::*;

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes(&[n; 38]).unwrap()
}

fn limits() -> ServingLimits {
    ServingLimits {
        concurrent: 3,
        requests_per_second: 10,
        requests_burst: 20,
        bytes_per_second: 1000,
        bytes_burst: 5000,
    }
}

#[test]
fn requests_are_refused_above_the_burst_until_the_bucket_fills() {
    let now = Instant::now();
    let allowance = Allowance::new(limits(), now);
    for _ in 0..20 {
        allowance.admit(now).unwrap();
    }
    let RetryAfter(wait) = allowance.admit(now).unwrap_err();
    assert!(wait > Duration::ZERO && wait <= Duration::from_millis(100), "{wait:?}");
    allowance.admit(now + Duration::from_millis(100)).unwrap();
}

#[test]
fn whoever_took_many_bytes_waits_for_as_long_as_they_are_worth() {
    let now = Instant::now();
    let allowance = Allowance::new(limits(), now);
    allowance.spend(7000);
    assert_eq!(allowance.admit(now).unwrap_err(), RetryAfter(Duration::from_secs(2)));
    assert!(allowance.admit(now + Duration::from_millis(1999)).is_err());
    assert!(allowance.admit(now + Duration::from_secs(2)).is_ok());
    allowance.spend(usize::MAX);
    assert_eq!(allowance.admit(now + Duration::from_secs(2)).unwrap_err(), RetryAfter(MAX_RETRY_AFTER));
}

#[test]
fn places_are_few_and_come_back() {
    let now = Instant::now();
    let allowance = Allowance::new(limits(), now);
    let places: Vec<_> = (0..3).map(|_| allowance.admit(now).unwrap()).collect();
    assert_eq!(allowance.admit(now).unwrap_err(), RetryAfter(CROWDED_RETRY));
    drop(places);
    allowance.admit(now).unwrap();
}

#[test]
fn an_exempt_peer_is_bound_by_places_only() {
    let now = Instant::now();
    let mut allowances = Allowances::new(limits());
    allowances.exempt(peer(1), true, now);
    let allowance = allowances.of(peer(1), now);
    allowance.spend(1 << 40);
    for _ in 0..100 {
        allowance.admit(now).unwrap();
    }
    allowances.exempt(peer(1), false, now);
    allowance.admit(now).unwrap_err();
}

#[test]
fn an_allowance_in_debt_is_remembered_and_a_full_one_is_not() {
    let now = Instant::now();
    let mut allowances = Allowances::new(limits());
    for n in 0..REMEMBERED_PEERS {
        let id = PeerId::from_bytes(&n.to_le_bytes()).unwrap();
        let allowance = allowances.of(id, now);
        if n == 7 {
            allowance.spend(1 << 30);
        }
    }
    allowances.of(peer(1), now);
    assert_eq!(allowances.peers.len(), 2, "the debtor and the new one");
    let debtor = PeerId::from_bytes(&7usize.to_le_bytes()).unwrap();
    allowances.of(debtor, now).admit(now).unwrap_err();
}

/// Bodies of one size for whatever is asked, or nothing at all; notes how many are read at once.
struct Source {
    body: Option<Bytes>,
    reads: Mutex<Vec<usize>>,
}

impl BlockSource for Source {
    fn status(&self) -> Result<Status, Unavailable> {
        Err(Unavailable)
    }

    fn headers(&self, _: Height, _: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
        Ok(Vec::new())
    }

    fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
        let Some(body) = &self.body else { return Ok(Vec::new()) };
        let fit = ids.len().min((budget / body.len()).max(1));
        self.reads.lock().unwrap().push(fit);
        Ok(vec![Some(body.clone()); fit])
    }

    fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
        Ok(None)
    }

    /// Bucket 0 is empty, bucket 1 fills two pieces exactly, bucket 2 has no end.
    fn accounts(
        &self,
        _: BlockId,
        bucket: u8,
        after: Option<[u8; 20]>,
        count: usize,
    ) -> Result<Option<Bytes>, Unavailable> {
        let seen = after.map_or(0, |after| u32::from_be_bytes(*after.last_chunk().unwrap()));
        let end = match bucket {
            0 => 0,
            1 => 2 * u32::try_from(count).unwrap(),
            2 => u32::MAX,
            _ => return Ok(None),
        };
        let accounts = (seen + 1..=end).take(count).flat_map(|n| {
            let mut account = [0; ACCOUNT_BYTES];
            account[16..20].copy_from_slice(&n.to_be_bytes());
            account
        });
        Ok(Some(accounts.collect()))
    }
}

#[test]
fn a_bucket_is_read_piece_by_piece_to_its_end() {
    let source = Source { body: None, reads: Mutex::default() };
    let read = |bucket| {
        let mut reading = Reading::new(Request::Accounts { block: BlockId([5; 32]), bucket });
        let mut accounts = 0;
        while !reading.is_over() {
            let pieces = reading.next(&source, peer(1))?;
            accounts += pieces.iter().map(payload).sum::<usize>() / ACCOUNT_BYTES;
        }
        Ok(accounts)
    };
    assert_eq!(read(0), Ok(0));
    assert_eq!(read(1), Ok(2 * MAX_ACCOUNTS_PER_FRAME));
    assert_eq!(read(2), Err(Unavailable), "above the limit of a bucket");
    assert_eq!(read(3), Err(Unavailable), "not offered");
}

#[test]
fn an_answer_is_read_in_chunks_and_ends_at_its_limit() {
    let source = Source { body: Some(Bytes::from(vec![1; 300_000])), reads: Mutex::default() };
    let mut reading = Reading::new(Request::Bodies { ids: vec![BlockId([5; 32]); 100] });
    let mut sent = 0;
    while !reading.is_over() {
        sent += reading.next(&source, peer(1)).unwrap().iter().map(payload).sum::<usize>();
    }
    assert!((MAX_BODIES_ANSWER_BYTES..MAX_BODIES_ANSWER_BYTES + 300_000).contains(&sent), "{sent}");
    assert!(source.reads.lock().unwrap().iter().all(|&n| n <= 3));
}

#[test]
fn a_source_that_gives_nothing_ends_the_answer() {
    let source = Source { body: None, reads: Mutex::default() };
    let next = |request| Reading::new(request).next(&source, peer(1));
    assert_eq!(next(Request::Bodies { ids: vec![BlockId([5; 32])] }), Err(Unavailable));
    assert_eq!(next(Request::Claim { nonce: [0; 32] }), Err(Unavailable));
    assert_eq!(next(Request::Status), Err(Unavailable));
    assert_eq!(next(Request::Snapshots), Ok(vec![]));
    assert_eq!(next(Request::StateSums { block: BlockId([5; 32]) }), Err(Unavailable));
    assert_eq!(next(Request::Headers { from: Height(1), count: 3 }), Ok(vec![]));
}
