//! Published vectors, and the same sums done by an independent implementation (zkcrypto's `bls12_381`).

use bls12_381::hash_to_curve::{ExpandMsgXmd, HashToCurve};
use bls12_381::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar, pairing};
use blst::{min_sig, p1_affines};
use proptest::prelude::*;
use sha2_0_10::Sha256;

use super::*;
use crate::error::Invalid;

/// RFC 9380, appendix J.9.1: BLS12381G1_XMD:SHA-256_SSWU_RO_.
const RFC_9380_DST: &[u8] = b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_";

fn hash_to_g1(message: &[u8], dst: &[u8]) -> min_sig::AggregateSignature {
    let uncleared = p1_affines::from(&hash_without_clearing(&[message], dst));
    clear_cofactor(&uncleared[0]).into()
}

fn rfc_9380() -> Vec<(String, &'static str, &'static str)> {
    let long = |head: &str, c: &str, n: usize| format!("{head}{}", c.repeat(n));
    vec![
        (
            String::new(),
            "052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a1",
            "08ba738453bfed09cb546dbb0783dbb3a5f1f566ed67bb6be0e8c67e2e81a4cc68ee29813bb7994998f3eae0c9c6a265",
        ),
        (
            "abc".into(),
            "03567bc5ef9c690c2ab2ecdf6a96ef1c139cc0b2f284dca0a9a7943388a49a3aee664ba5379a7655d3c68900be2f6903",
            "0b9c15f3fe6e5cf4211f346271d7b01c8f3b28be689c8429c85b67af215533311f0b8dfaaa154fa6b88176c229f2885d",
        ),
        (
            "abcdef0123456789".into(),
            "11e0b079dea29a68f0383ee94fed1b940995272407e3bb916bbf268c263ddd57a6a27200a784cbc248e84f357ce82d98",
            "03a87ae2caf14e8ee52e51fa2ed8eefe80f02457004ba4d486d6aa1f517c0889501dc7413753f9599b099ebcbbd2d709",
        ),
        (
            long("q128_", "q", 128),
            "15f68eaa693b95ccb85215dc65fa81038d69629f70aeee0d0f677cf22285e7bf58d7cb86eefe8f2e9bc3f8cb84fac488",
            "1807a1d50c29f430b8cafc4f8638dfeeadf51211e1602a5f184443076715f91bb90a48ba1e370edce6ae1062f5e6dd38",
        ),
        (
            long("a512_", "a", 512),
            "082aabae8b7dedb0e78aeb619ad3bfd9277a2f77ba7fad20ef6aabdc6c31d19ba5a6d12283553294c1825c4b3ca2dcfe",
            "05b84ae5a942248eea39e1d91030458c40153f3b654ab7872d779ad1e942856a20c438e8d99bc8abfbf74729ce1f7ac8",
        ),
    ]
}

#[test]
fn hashing_to_the_curve_agrees_with_rfc_9380() {
    for (message, x, y) in rfc_9380() {
        let hash = hash_to_g1(message.as_bytes(), RFC_9380_DST);
        assert_eq!(hex::encode(hash.to_signature().serialize()), format!("{x}{y}"), "of {message:?}");
    }
}

#[test]
fn many_messages_hash_as_each_alone_does_elsewhere() {
    let messages: Vec<Vec<u8>> = (0..200u8).map(|n| vec![n; usize::from(n)]).collect();
    let hashes = p1_affines::from(&hash_without_clearing(&messages, MESSAGE_DST));
    for (message, hash) in messages.iter().zip(hashes.as_slice()) {
        let hash = min_sig::AggregateSignature::from(clear_cofactor(hash)).to_signature();
        // blst's own, which the signatures are made with, and the independent one.
        let blst = *blstrs::G1Projective::hash_to_curve(message, MESSAGE_DST, &[]).as_ref();
        assert_eq!(hash, min_sig::AggregateSignature::from(blst).to_signature());
        if message.len() % 20 == 0 {
            assert_eq!(hash.compress(), G1Affine::from(other_hash(message, MESSAGE_DST)).to_compressed());
        }
    }
}

#[test]
fn clearing_the_cofactor_of_a_sum_is_summing_what_is_cleared() {
    let hashes = p1_affines::from(&hash_without_clearing(&[b"one", b"two", b"six"], MESSAGE_DST));
    let cleared: Vec<_> = hashes.as_slice().iter().map(clear_cofactor).collect();
    let sum = p1_affines::from(&[hashes.add()])[0];
    assert_eq!(clear_cofactor(&sum), p1_affines::from(&cleared).add());
    assert!(!min_sig::Signature::from(hashes[0]).subgroup_check());
    assert!(min_sig::AggregateSignature::from(clear_cofactor(&hashes[0])).to_signature().subgroup_check());
}

#[test]
fn keys_are_derived_as_in_eip_2333() {
    // EIP-2333, test case 2: the master key is KeyGen of the seed with empty key info.
    let seed = "3141592653589793238462643383279502884197169399375105820974944592";
    let key = SecretKey::from_seed(&hex::decode(seed).unwrap().try_into().unwrap());
    let expected = "41c9e07822b092a93fd6797396338c3ada4170cc81829fdfce6b5d34bd5e7ec7";
    assert_eq!(hex::encode(key.to_bytes()), expected);
}

/// The secret key as the other implementation sees it.
fn scalar(key: &SecretKey) -> Scalar {
    let mut bytes = *key.to_bytes();
    bytes.reverse();
    Scalar::from_bytes(&bytes).unwrap()
}

fn other_hash(message: &[u8], dst: &[u8]) -> G1Projective {
    <G1Projective as HashToCurve<ExpandMsgXmd<Sha256>>>::hash_to_curve([message], dst)
}

fn other_key(key: &SecretKey) -> G2Affine {
    (G2Projective::generator() * scalar(key)).into()
}

fn other_signature(key: &SecretKey, message: &[u8], dst: &[u8]) -> G1Affine {
    (other_hash(message, dst) * scalar(key)).into()
}

fn other_verify(key: &G2Affine, message: &[u8], signature: &[u8; 48]) -> bool {
    let signature = G1Affine::from_compressed(signature).unwrap();
    pairing(&signature, &G2Affine::generator()) == pairing(&other_hash(message, MESSAGE_DST).into(), key)
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn an_independent_implementation_agrees(
        seeds in prop::collection::vec(any::<[u8; 32]>(), 1..4),
        message in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let keys: Vec<SecretKey> = seeds.iter().map(SecretKey::from_seed).collect();
        let (mut sum, mut key_sum) = (G1Projective::identity(), G2Projective::identity());
        for key in &keys {
            prop_assert_eq!(*key.public_key().as_bytes(), other_key(key).to_compressed());
            let theirs = other_signature(key, &message, MESSAGE_DST);
            prop_assert_eq!(key.sign(&message).to_bytes(), theirs.to_compressed());
            let proof = other_signature(key, key.public_key().as_bytes(), POSSESSION_DST);
            prop_assert_eq!(key.prove_possession().0, proof.to_compressed());
            prop_assert!(key.public_key().verify(&message, &Signature::from_bytes(&theirs.to_compressed()).unwrap()));
            sum += theirs;
            key_sum += other_key(key);
        }
        let signatures: Vec<Signature> = keys.iter().map(|key| key.sign(&message)).collect();
        let ours = Signature::aggregate(&signatures).unwrap();
        prop_assert_eq!(ours.to_bytes(), G1Affine::from(sum).to_compressed());
        let publics: Vec<PublicKey> = keys.iter().map(SecretKey::public_key).collect();
        prop_assert!(KeySum::of(&publics).unwrap().verify(&message, &ours));
        prop_assert!(other_verify(&key_sum.into(), &message, &ours.to_bytes()));
    }
}

#[test]
fn a_signature_fits_one_key_and_one_message() {
    let signature = key(1).sign(b"block");
    assert!(key(1).public_key().verify(b"block", &signature));
    assert!(!key(1).public_key().verify(b"other", &signature));
    assert!(!key(2).public_key().verify(b"block", &signature));
    let both = [key(1).public_key(), key(2).public_key()];
    assert!(!KeySum::of(&both).unwrap().verify(b"block", &signature));
    assert!(KeySum::of([]).is_none());
    assert!(Signature::aggregate(&[]).is_none());
}

#[test]
fn a_proof_of_possession_is_no_signature_and_fits_one_key() {
    let (one, two) = (key(1), key(2));
    assert!(one.public_key().check_possession(&one.prove_possession()));
    assert!(!two.public_key().check_possession(&one.prove_possession()));
    let signed = PossessionProof(one.sign(one.public_key().as_bytes()).to_bytes());
    assert!(!one.public_key().check_possession(&signed));
    assert!(!one.public_key().check_possession(&PossessionProof([0xff; 48])));
}

#[test]
fn secret_keys_survive_their_bytes_and_are_never_shown() {
    let key = key(7);
    let again = SecretKey::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(format!("{key:?}"), "SecretKey(..)");
    let fault = Invalid::Point { what: "secret key", why: "not between 1 and the group order" };
    assert_eq!(SecretKey::from_bytes(&[0; 32]).unwrap_err(), fault);
    assert_eq!(SecretKey::from_bytes(&[0xff; 32]).unwrap_err(), fault);
}

/// The faults of points with small x: some are on the curve, but practically none of these in the subgroup.
fn fault_of_small_x<const N: usize, T>(decode: impl Fn(&[u8; N]) -> Result<T, Invalid>) -> Vec<&'static str> {
    let faults = (1..20u8).filter_map(|x| {
        let mut bytes = [0; N];
        (bytes[0], bytes[N - 1]) = (0x80, x);
        match decode(&bytes).err()? {
            Invalid::Point { why, .. } => Some(why),
            other => panic!("{other}"),
        }
    });
    faults.collect()
}

#[test]
fn only_valid_points_become_keys_and_signatures() {
    let all = ["not on the curve", "not in the subgroup"];
    let keys = fault_of_small_x(PublicKey::from_bytes);
    let signatures = fault_of_small_x(Signature::from_bytes);
    for why in all {
        assert!(keys.contains(&why) && signatures.contains(&why), "{why}");
    }
    let (mut infinity, mut short) = ([0; 96], [0; 48]);
    (infinity[0], short[0]) = (0xc0, 0xc0);
    let why = "the identity";
    assert_eq!(PublicKey::from_bytes(&infinity).unwrap_err(), Invalid::Point { what: "public key", why });
    assert_eq!(Signature::from_bytes(&short).unwrap_err(), Invalid::Point { what: "signature", why });
    // Uncompressed encodings have another length and another mark.
    assert!(PublicKey::from_bytes(&[0; 96]).is_err());
    assert!(Signature::from_bytes(&[0; 48]).is_err());
}

#[test]
fn keys_read_as_hex_in_text_and_as_bytes_elsewhere() {
    let public = key(3).public_key();
    let text = serde_json::to_string(&public).unwrap();
    assert_eq!(text, format!("\"{public}\""));
    assert_eq!(serde_json::from_str::<PublicKey>(&text).unwrap(), public);
    assert_eq!(serde_json::from_str::<PublicKey>(&text.replace("0x", "")).unwrap(), public);
    let bytes = postcard::to_allocvec(&public).unwrap();
    assert_eq!(bytes.len(), 97);
    assert_eq!(postcard::from_bytes::<PublicKey>(&bytes).unwrap(), public);
    assert!(postcard::from_bytes::<PublicKey>(&[2, 1, 1]).is_err());
    for wrong in ["\"0x00\"", "\"zz\"", "7", &format!("\"{}\"", "00".repeat(96))] {
        assert!(serde_json::from_str::<PublicKey>(wrong).is_err(), "{wrong}");
    }
    let proof = key(3).prove_possession();
    let text = serde_json::to_string(&proof).unwrap();
    assert_eq!(serde_json::from_str::<PossessionProof>(&text).unwrap(), proof);
}

#[test]
fn points_show_their_first_bytes_and_are_ordered_by_encoding() {
    let (one, two) = (key(1).public_key(), key(2).public_key());
    assert_eq!(one.cmp(&two), one.as_bytes().cmp(two.as_bytes()));
    assert_eq!(one.partial_cmp(&one), Some(core::cmp::Ordering::Equal));
    let shown = format!("PublicKey(0x{})", hex::encode(&one.as_bytes()[..4]));
    assert_eq!(format!("{one:?}"), shown);
    let signature = key(1).sign(b"");
    assert_eq!(format!("{signature:?}"), format!("Signature(0x{})", hex::encode(&signature.to_bytes()[..4])));
}
