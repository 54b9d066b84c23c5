//! Work spread over all cores, for commands that have the machine to themselves. (The node has its own pool.)

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread;

/// `f` of every item, in their order, computed on all cores. A panic in `f` is the caller's.
pub fn map<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = items.len().div_ceil(cores).max(1);
    if items.len() <= 1 {
        return items.iter().map(f).collect();
    }
    let f = &f;
    thread::scope(|scope| {
        let work = |part| scope.spawn(move || Vec::from_iter(<[T]>::iter(part).map(f)));
        let workers: Vec<_> = items.chunks(share).map(work).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_kept_whatever_the_number_of_items() {
        for n in [0, 1, 2, 3, 4, 5, 100] {
            let items: Vec<u32> = (0..n).collect();
            assert_eq!(map(&items, |i| i * 2), items.iter().map(|i| i * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "item 7")]
    fn a_panic_is_not_swallowed() {
        let items: Vec<u32> = (0..10).collect();
        map(&items, |i| assert!(*i != 7, "item {i}"));
    }
}
