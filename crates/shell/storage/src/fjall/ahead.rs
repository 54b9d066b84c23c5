//! Bodies on their way to the disk before the commit that names them.
//!
//! A commit of large bodies waits for the disk more than for anything else. Sync knows its bodies long before: they are verified while earlier ones
//! are executed. So they are given here, a thread brings them to their files, and the commit finds them there.
//!
//! - **In**: bodies, each with its block. **Out**: the places of those that have arrived.
//! - **On failure**: what the thread could not write is forgotten, and the commit that needs it writes it, or fails itself. A failed sync is
//!   remembered: what the kernel kept of it is unknown, so the next commit fails.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;

use super::bodies::{BodyFiles, Place, is_large};
use crate::StoreError;

/// How many bodies may be at their places without a row: more than the blocks that sync works on at once. Beyond, the lowest are forgotten, and lie
/// there for nothing if nobody names them after all.
const MOST: usize = 4096;
/// How many bytes may wait for the thread. A disk that is slower than the network is not worth more memory: beyond, bodies wait for their commit.
const MOST_WAITING_BYTES: usize = 16 << 20;

/// The key of a row, and its body.
type Named = (Vec<u8>, Bytes);

/// What is known of a body that was given.
#[derive(Debug)]
enum Known {
    /// It waits for the thread.
    Waiting,
    /// It is on the disk.
    Written(Place),
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<Vec<u8>, Known>,
    waiting_bytes: usize,
    /// Why a sync failed.
    failed: Option<StoreError>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the [module](self). The thread ends with it.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
    queue: Option<Sender<Vec<Named>>>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Starts the thread.
    pub(super) fn start(files: Arc<BodyFiles>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (queue, waiting) = channel();
        let thread = std::thread::Builder::new().name("bodies".to_owned()).spawn({
            let shared = shared.clone();
            move || write(&files, &shared, &waiting)
        })?;
        Ok(Self { shared, queue: Some(queue), thread: Some(thread) })
    }

    /// Has the large ones among these bodies written. Returns at once; what was given before is passed over, and what there is no room for.
    pub(super) fn give(&self, bodies: Vec<Named>) {
        let mut state = self.shared.lock();
        let mut fresh = bodies;
        fresh.retain(|(key, body)| {
            let waiting = state.waiting_bytes.saturating_add(body.len());
            let is_fresh = is_large(body) && waiting <= MOST_WAITING_BYTES && !state.known.contains_key(key);
            if is_fresh {
                state.waiting_bytes = waiting;
                state.known.insert(key.clone(), Known::Waiting);
            }
            is_fresh
        });
        while state.known.len() > MOST {
            state.known.pop_first();
        }
        drop(state);
        if let Some(queue) = self.queue.as_ref().filter(|_| !fresh.is_empty()) {
            // The thread ends after this has been dropped only.
            queue.send(fresh).ok();
        }
    }

    /// The place of this body if it was given; waits for it if it is on its way. The next one who asks does not find it.
    pub(super) fn take(&self, key: &[u8], body: &[u8]) -> Result<Option<Place>, StoreError> {
        let mut state = self.shared.lock();
        while matches!(state.known.get(key), Some(Known::Waiting)) {
            state = self.shared.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        Ok(match state.known.remove(key) {
            Some(Known::Written(place)) if place.holds(body) => Some(place),
            _ => None,
        })
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            // It has ended in any case.
            thread.join().ok();
        }
    }
}

/// The life of the thread.
fn write(files: &BodyFiles, shared: &Shared, waiting: &Receiver<Vec<Named>>) {
    while let Ok(mut bodies) = waiting.recv() {
        // What has come meanwhile is synced with it.
        bodies.extend(waiting.try_iter().flatten());
        let large: Vec<&Bytes> = bodies.iter().map(|(_, body)| body).collect();
        let written = files.append(&large);
        let mut state = shared.lock();
        let bytes: usize = large.iter().map(|body| body.len()).sum();
        state.waiting_bytes = state.waiting_bytes.saturating_sub(bytes);
        match written {
            Ok(places) => {
                for ((key, _), place) in bodies.iter().zip(places) {
                    // It may have been forgotten.
                    state.known.entry(key.clone()).and_modify(|known| *known = Known::Written(place));
                }
            }
            Err(error) => {
                for (key, _) in &bodies {
                    state.known.remove(key);
                }
                state.failed = Some(error);
            }
        }
        drop(state);
        shared.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fjall::bodies::End;

    fn body(fill: u8) -> Bytes {
        vec![fill; 5000].into()
    }

    fn key(number: u16) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn start(directory: &std::path::Path) -> (Arc<BodyFiles>, Ahead) {
        let files = Arc::new(BodyFiles::open(directory, End::default()).unwrap());
        (files.clone(), Ahead::start(files).unwrap())
    }

    #[test]
    fn what_was_given_is_at_its_place_once() {
        let directory = tempfile::tempdir().unwrap();
        let (files, ahead) = start(directory.path());
        ahead.give(vec![(key(1), body(1)), (key(2), body(2)), (key(3), Bytes::from_static(b"small"))]);
        ahead.give(vec![(key(1), body(1))]);
        let place = ahead.take(&key(1), &body(1)).unwrap().unwrap();
        assert_eq!(files.read(place).unwrap(), body(1));
        assert_eq!(ahead.take(&key(1), &body(1)).unwrap(), None, "taken");
        assert_eq!(ahead.take(&key(2), &body(9)).unwrap(), None, "another body than the one that was given");
        assert_eq!(ahead.take(&key(3), b"small").unwrap(), None);
        assert_eq!(ahead.take(&key(4), &body(4)).unwrap(), None, "never given");
    }

    #[test]
    fn those_that_nobody_names_are_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let (_, ahead) = start(directory.path());
        let numbers = 0..u16::try_from(MOST).unwrap() + 100;
        for chunk in numbers.clone().collect::<Vec<_>>().chunks(512) {
            ahead.give(chunk.iter().map(|&number| (key(number), body(7))).collect());
            // However slow the disk is, there is room for the next ones.
            assert!(ahead.take(&key(chunk[0]), &body(7)).unwrap().is_some());
        }
        assert_eq!(ahead.take(&key(3), &body(7)).unwrap(), None, "one of the lowest");
        assert!(ahead.take(&key(numbers.end - 1), &body(7)).unwrap().is_some());
        assert!(ahead.shared.lock().known.len() < MOST);
    }

    #[test]
    fn what_waits_for_a_slow_disk_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let (files, ahead) = start(directory.path());
        // Nobody can write meanwhile.
        let busy = files.pause();
        let large = Bytes::from(vec![1; 4 << 20]);
        (0..10).for_each(|number| ahead.give(vec![(key(number), large.clone())]));
        assert_eq!(ahead.shared.lock().waiting_bytes, MOST_WAITING_BYTES);
        assert_eq!(ahead.take(&key(9), &large).unwrap(), None, "it waits for its commit");
        drop(busy);
        assert!(ahead.take(&key(3), &large).unwrap().is_some());
        assert!(ahead.shared.lock().waiting_bytes < MOST_WAITING_BYTES);
    }

    #[test]
    fn a_disk_that_fails_fails_the_next_commit() {
        let directory = tempfile::tempdir().unwrap();
        let (_, ahead) = start(directory.path());
        // No file can be made where a directory is.
        std::fs::create_dir(directory.path().join("000000")).unwrap();
        ahead.give(vec![(key(1), body(1))]);
        assert!(matches!(ahead.take(&key(1), &body(1)), Err(StoreError::Io { .. })));
        assert_eq!(ahead.take(&key(1), &body(1)).unwrap(), None, "forgotten");
    }
}
