use proptest::prelude::*;

use super::*;
use crate::fixture::world;

fn transactions(body: &Body) -> Vec<&[u8]> {
    body.transactions().unwrap().collect()
}

fn malformed(bytes: &[u8]) -> &'static str {
    match Body(Bytes::copy_from_slice(bytes)).transactions() {
        Err(Invalid::Malformed { why, .. }) => why,
        other => panic!("expected a malformed body, got {other:?}"),
    }
}

#[test]
fn an_empty_body_has_no_bytes_and_a_constant_root() {
    let body = Body::encode::<&[u8]>(&[]).unwrap();
    assert_eq!(body, Body::default());
    assert_eq!(transactions(&body).len(), 0);
    assert_eq!(body.root().unwrap(), Body::empty_root());
    // A constant of the protocol: changing it makes another network of every network.
    let constant = "0xa0013b6d08fbd863bcc343bec8f531775071daccd869a82beded63ac61370cd1";
    assert_eq!(Body::empty_root().to_string(), constant);
}

#[test]
fn a_body_is_offsets_then_transactions() {
    let body = Body::encode(&[&b"ab"[..], b"c"]).unwrap();
    assert_eq!(&body.0[..], b"\x08\0\0\0\x0a\0\0\0abc");
    assert_eq!(transactions(&body), [&b"ab"[..], b"c"]);
    let mut left = body.transactions().unwrap();
    assert_eq!(left.len(), 2);
    left.next();
    assert_eq!(left.len(), 1);
}

#[test]
fn the_root_is_the_tree_of_rfc_6962_with_the_count_bound_in() {
    let leaf = |t: &[u8]| sha256(&[&[0], t]);
    let node = |l: [u8; 32], r: [u8; 32]| sha256(&[&[1], &l, &r]);
    let root = |n: u64, tree: [u8; 32]| Hash(sha256(&[b"alys/body/1", &n.to_le_bytes(), &tree]));
    let of = |t: &[&[u8]]| Body::encode(t).unwrap().root().unwrap();
    assert_eq!(of(&[]), root(0, sha256(&[])));
    assert_eq!(of(&[b"a"]), root(1, leaf(b"a")));
    let three = node(node(leaf(b"a"), leaf(b"b")), leaf(b"c"));
    assert_eq!(of(&[b"a", b"b", b"c"]), root(3, three));
    let five: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];
    let four = node(node(leaf(b"a"), leaf(b"b")), node(leaf(b"c"), leaf(b"d")));
    assert_eq!(of(&five), root(5, node(four, leaf(b"e"))));
}

#[test]
fn offsets_are_checked() {
    assert_eq!(malformed(&[4, 0]), "cut off within the first offset");
    let first = "the first offset must be the size of the offsets";
    assert_eq!(malformed(&[0, 0, 0, 0, 1]), first);
    assert_eq!(malformed(&[5, 0, 0, 0, 1]), first);
    assert_eq!(malformed(&[8, 0, 0, 0, 1]), first);
    let order = "offsets must ascend and stay within the body";
    assert_eq!(malformed(&[8, 0, 0, 0, 7, 0, 0, 0, 1, 1]), order);
    assert_eq!(malformed(&[8, 0, 0, 0, 11, 0, 0, 0, 1, 1]), order);
    assert_eq!(malformed(&[8, 0, 0, 0, 255, 255, 255, 255, 1, 1]), order);
    assert_eq!(malformed(&[8, 0, 0, 0, 8, 0, 0, 0, 1]), "a transaction without bytes");
    assert_eq!(malformed(&[4, 0, 0, 0]), "a transaction without bytes");
}

fn too_many<T: core::fmt::Debug>(result: Result<T, Invalid>) -> (&'static str, usize) {
    match result {
        Err(Invalid::TooMany { what, got, .. }) => (what, got),
        other => panic!("expected a limit, got {other:?}"),
    }
}

#[test]
fn limits_hold_at_their_edge_both_ways() {
    let most = vec![1; MAX_TRANSACTION_BYTES];
    let body = Body::encode(&[&most]).unwrap();
    assert_eq!(transactions(&body), [&most[..]]);
    let larger = vec![1; MAX_TRANSACTION_BYTES + 1];
    let fault = ("bytes of a transaction", MAX_TRANSACTION_BYTES + 1);
    assert_eq!(too_many(Body::encode(&[&larger])), fault);
    let raw = [&4u32.to_le_bytes()[..], &larger].concat();
    assert_eq!(too_many(Body(raw.into()).transactions()), fault);

    let many = vec![[1u8]; MAX_TRANSACTIONS];
    assert_eq!(transactions(&Body::encode(&many).unwrap()).len(), MAX_TRANSACTIONS);
    let more = vec![[1u8]; MAX_TRANSACTIONS + 1];
    let fault = ("transactions in a body", MAX_TRANSACTIONS + 1);
    assert_eq!(too_many(Body::encode(&more)), fault);
    let offsets = u32::try_from(4 * more.len()).unwrap();
    let raw = vec![offsets.to_le_bytes(); more.len()].concat();
    assert_eq!(too_many(Body(raw.into()).transactions()), fault);

    // Sixteen of the largest are 2 MiB; their offsets no longer fit.
    let mut full = vec![most; 16];
    let fault = ("bytes of a body", MAX_BODY_BYTES + 64);
    assert_eq!(too_many(Body::encode(&full)), fault);
    full[0].truncate(MAX_TRANSACTION_BYTES - 64);
    assert_eq!(Body::encode(&full).unwrap().0.len(), MAX_BODY_BYTES);
    assert_eq!(
        too_many(Body(vec![0; MAX_BODY_BYTES + 1].into()).root()),
        ("bytes of a body", MAX_BODY_BYTES + 1)
    );
    assert!(matches!(Body::encode(&[b""]), Err(Invalid::Malformed { .. })));
}

#[test]
fn a_body_belongs_to_one_header() {
    let world = world(1);
    let body = Body::encode(&[b"pay"]).unwrap();
    let header = Header { body_root: body.root().unwrap(), ..world.header(world.rules.genesis(), 1) };
    assert_eq!(Block { header, body: body.clone() }.check_body(), Ok(()));
    let other = Block { header, body: Body::default() };
    let expected = header.body_root;
    assert_eq!(other.check_body(), Err(Invalid::BodyRoot { expected, got: Body::empty_root() }));
    let broken = Block { header, body: Body(Bytes::from_static(b"\x04")) };
    assert!(matches!(broken.check_body(), Err(Invalid::Malformed { .. })));
}

proptest! {
    #[test]
    fn transactions_survive_the_body(all in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..30)) {
        let body = Body::encode(&all).unwrap();
        let decoded: Vec<Vec<u8>> = transactions(&body).into_iter().map(<[u8]>::to_vec).collect();
        prop_assert_eq!(&decoded, &all);
        if let Some((_, fewer)) = all.split_last() {
            prop_assert_ne!(Body::encode(fewer).unwrap().root(), body.root());
        }
    }

    #[test]
    fn any_bytes_are_refused_or_are_the_one_encoding_of_their_transactions(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(4), Just(8), Just(12), any::<u8>()], 0..40),
    ) {
        let body = Body(bytes.into());
        if let Ok(all) = body.transactions() {
            prop_assert_eq!(Body::encode(&all.collect::<Vec<_>>()).unwrap(), body);
        }
    }
}
