//! Journals cut at every byte, bits flipped anywhere: a prefix of the commits, or an error, and nothing acknowledged is ever lost silently.

use std::fs;
use std::path::Path;

use alys_storage::fjall::{Sizes, open, open_sized};
use alys_storage::{Durability, StoreError};

use crate::conformance::fixture::{GENESIS, noise, scratch};
use crate::history::{Image, content, extend, journal, stands_at};

const BODY: usize = 30;
/// Every so many cuts are also opened with the note of what was acknowledged.
const NOTED: usize = 8;
/// How many bits are flipped; more with this variable in the environment.
const FLIPS: u64 = 200;
const FLIPS_VARIABLE: &str = "ALYS_STORAGE_FLIPS";

fn cut(path: &Path, length: usize) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length as u64).unwrap();
}

/// A closed database with `commits` commits, all in the journal.
fn in_journal(directory: &Path, commits: u64) {
    extend(&open(directory, GENESIS).unwrap(), 1..=commits, BODY, Durability::Durable);
    // Opening again takes the preallocated zeros off.
    drop(open(directory, GENESIS).unwrap());
}

#[test]
fn a_journal_cut_anywhere_opens_at_a_prefix_of_the_commits() {
    let origin = scratch();
    in_journal(origin.path(), 2);
    let whole = content(&fs::read(journal(origin.path())).unwrap());
    let image = Image::of(origin.path());
    let mut prefixes = Vec::new();
    for length in (0..=whole).rev() {
        let place = image.restore();
        cut(&journal(place.path()), length);
        if length % NOTED == 0 && length < whole {
            let refused = open(place.path(), GENESIS).err().expect("an acknowledged commit is missing");
            assert!(matches!(refused, StoreError::Corrupted { .. }), "cut at {length}: {refused}");
        }
        // After a loss of power the note may be gone as well.
        fs::remove_file(place.path().join("acknowledged")).unwrap();
        let store = open(place.path(), GENESIS).unwrap();
        prefixes.push(stands_at(&store, BODY).unwrap());
    }
    assert!(prefixes.is_sorted_by(|later, earlier| later >= earlier));
    prefixes.dedup();
    assert_eq!(prefixes, [2, 1, 0]);
}

#[test]
fn what_was_not_synced_can_be_torn_in_any_order() {
    let origin = scratch();
    let store = open(origin.path(), GENESIS).unwrap();
    extend(&store, 1..=3, BODY, Durability::Durable);
    let durable = content(&fs::read(journal(origin.path())).unwrap());
    extend(&store, 4..=6, BODY, Durability::Buffered);
    let whole = content(&fs::read(journal(origin.path())).unwrap());
    let image = Image::of(origin.path());
    // Some sectors reached the disk, others did not.
    for hole in (durable..whole).step_by(23) {
        let place = image.restore();
        let path = journal(place.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes[hole..(hole + 512).min(whole)].fill(0);
        fs::write(&path, &bytes).unwrap();
        let store = open(place.path(), GENESIS).unwrap();
        let at = stands_at(&store, BODY).unwrap();
        assert!((3..6).contains(&at), "hole at {hole}: {at}");
        extend(&store, at + 1..=at + 1, BODY, Durability::Durable);
        drop(store);
        assert_eq!(stands_at(&open(place.path(), GENESIS).unwrap(), BODY).unwrap(), at + 1);
    }
}

#[test]
fn a_damaged_batch_between_good_ones_is_an_error_and_the_files_stay() {
    let directory = scratch();
    in_journal(directory.path(), 5);
    let path = journal(directory.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = content(&bytes) / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    for _ in 0..2 {
        assert!(matches!(open(directory.path(), GENESIS), Err(StoreError::Corrupted { .. })));
    }
    assert_eq!(fs::read(&path).unwrap(), bytes, "left as it was found");
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(stands_at(&open(directory.path(), GENESIS).unwrap(), BODY).unwrap(), 5);
}

/// A database whose rows are spread over tables, blob files and the journal.
fn spread(directory: &Path, commits: u64) {
    let sizes = Sizes { buffer: 64 * 1024, ..Sizes::default() };
    let store = open_sized(directory, GENESIS, sizes).unwrap();
    extend(&store, 1..=commits, 5000, Durability::Durable);
    drop(store);
    drop(open_sized(directory, GENESIS, sizes).unwrap());
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless() {
    let flips = std::env::var(FLIPS_VARIABLE).map_or(FLIPS, |count| count.parse().unwrap());
    let origin = scratch();
    let commits = 60;
    spread(origin.path(), commits);
    assert_eq!(stands_at(&open(origin.path(), GENESIS).unwrap(), 5000).unwrap(), commits);
    let image = Image::of(origin.path());
    let mut noticed = 0;
    for flip in 0..flips {
        let place = image.restore();
        let (file, bit) = choose(flip, &image.files());
        let path = place.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        let found = open(place.path(), GENESIS).and_then(|store| stands_at(&store, 5000));
        match found {
            Err(_) => noticed += 1,
            Ok(at) => assert_eq!(at, commits, "flip {flip}: bit {bit} of {} was accepted", file.display()),
        }
    }
    eprintln!("{noticed} of {flips} flips were errors, the others changed nothing");
    assert!(noticed * 2 > flips, "the flips miss the data");
}

/// A file (small ones as often as large ones) and a bit in it, the same for the same number.
fn choose<'a>(flip: u64, files: &[(&'a Path, usize)]) -> (&'a Path, usize) {
    let noise = noise(flip + 1, 64);
    let number = |at: usize| u32::from_le_bytes(noise[at..at + 4].try_into().unwrap()) as usize;
    let filled: Vec<&(&Path, usize)> = files.iter().filter(|(_, size)| *size > 0).collect();
    let (path, size) = filled[number(32) % filled.len()];
    (path, number(48) % (size * 8))
}

#[test]
fn what_vanished_is_noticed() {
    let origin = scratch();
    spread(origin.path(), 60);
    let image = Image::of(origin.path());
    for (path, _) in image.files() {
        let place = image.restore();
        fs::remove_file(place.path().join(path)).unwrap();
        for _ in 0..2 {
            let found = open(place.path(), GENESIS).and_then(|store| stands_at(&store, 5000));
            if let Ok(at) = found {
                assert_eq!(at, 60, "without {} the store is another one", path.display());
            }
        }
    }
}
