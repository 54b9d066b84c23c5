use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// One thread for all jobs, and the one for High.
fn one_thread() -> Pool {
    Pool::threads(NonZeroUsize::MIN).expect("a thread")
}

/// A job that keeps a thread busy.
struct Blocker {
    release: mpsc::Sender<()>,
    caller: tokio::task::JoinHandle<Result<(), PoolError>>,
}

impl Blocker {
    async fn start(pool: &Pool, priority: Priority) -> Self {
        let (release, gate) = mpsc::channel::<()>();
        let (tell, busy) = oneshot::channel();
        let pool = pool.clone();
        let job = move || {
            tell.send(()).ok();
            gate.recv().ok();
        };
        let caller = tokio::spawn(async move { pool.run(priority, job).await });
        busy.await.expect("the job has started");
        Self { release, caller }
    }

    async fn end(self) {
        self.release.send(()).expect("the blocker listens");
        self.caller.await.expect("no panic").expect("no panic");
    }
}

/// Keeps both threads busy: first the one that takes all, with a job that only it takes, then the other one.
async fn block(pool: &Pool) -> (Blocker, Blocker) {
    (Blocker::start(pool, Priority::Normal).await, Blocker::start(pool, Priority::High).await)
}

/// Queues `job` now and returns what it will return.
fn queue<T: Send + 'static>(
    pool: &Pool,
    priority: Priority,
    job: impl FnOnce() -> T + Send + 'static,
) -> std::pin::Pin<Box<dyn Future<Output = Result<T, PoolError>> + Send>> {
    let pool = pool.clone();
    let mut waiting: std::pin::Pin<Box<dyn Future<Output = _> + Send>> =
        Box::pin(async move { pool.run(priority, job).await });
    let polled = futures::FutureExt::now_or_never(&mut waiting);
    assert!(polled.is_none(), "the threads are busy");
    waiting
}

#[tokio::test]
async fn both_kinds_return_results_and_survive_a_panic() {
    for pool in [Pool::inline(), one_thread()] {
        assert_eq!(pool.run(Priority::High, || 6 * 7).await, Ok(42));
        let failed: Result<(), _> = pool.run(Priority::Normal, || panic!("bad job")).await;
        assert_eq!(failed, Err(PoolError::Panicked("bad job".into())));
        assert_eq!(pool.run(Priority::Normal, || "still here").await, Ok("still here"));
    }
}

#[tokio::test]
async fn higher_ones_go_first_but_every_priority_has_its_turn() {
    let pool = one_thread();
    let (normal, high) = block(&pool).await;
    let (log, order) = mpsc::channel();
    let mut waiting = Vec::new();
    for (count, priority, word) in
        [(2, Priority::Low, 'l'), (10, Priority::Normal, 'n'), (10, Priority::High, 'h')]
    {
        for _ in 0..count {
            let log = log.clone();
            waiting.push(queue(&pool, priority, move || log.send(word).ok()));
        }
    }
    normal.end().await;
    for job in waiting {
        job.await.expect("no panic");
    }
    assert_eq!(order.try_iter().collect::<String>(), "hhhhhhhhnlhhnnnnnnlnnn");
    high.end().await;
}

#[tokio::test]
async fn high_does_not_wait_for_normal_jobs_to_end() {
    let pool = one_thread();
    let busy = Blocker::start(&pool, Priority::Normal).await;
    let behind = queue(&pool, Priority::Normal, || "normal");
    assert_eq!(pool.run(Priority::High, || "high").await, Ok("high"));
    busy.end().await;
    assert_eq!(behind.await, Ok("normal"));
}

#[tokio::test]
async fn a_job_of_an_aborted_caller_is_dropped_unless_it_has_started() {
    let pool = one_thread();
    let blocker = Blocker::start(&pool, Priority::Normal).await;
    let (log, ran) = mpsc::channel();
    let abandoned = queue(&pool, Priority::Normal, move || log.send(()).ok());
    drop(abandoned);
    // The blocker's caller goes as well; its job has started and runs to its end.
    blocker.caller.abort();
    blocker.release.send(()).expect("the blocker listens");
    assert_eq!(pool.run(Priority::Normal, || ()).await, Ok(()), "the queue has been worked off to here");
    assert!(ran.try_recv().is_err(), "the abandoned job never ran");
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait() {
    let pool = one_thread();
    let blocker = Blocker::start(&pool, Priority::Normal).await;
    let waiting: Vec<_> =
        (0..QUEUE_PER_THREAD + 5).map(|number| queue(&pool, Priority::Normal, move || number)).collect();
    if let Kind::Threads(owner) = &pool.0 {
        assert_eq!(
            owner.0.lock().queues[Priority::Normal as usize].jobs.len(),
            QUEUE_PER_THREAD,
            "five wait outside"
        );
    }
    blocker.end().await;
    let results = futures::future::join_all(waiting).await;
    let expected: Vec<_> = (0..QUEUE_PER_THREAD + 5).map(Ok).collect();
    assert_eq!(results, expected);
}

#[tokio::test]
async fn a_result_that_panics_when_nobody_wants_it_does_not_cost_the_thread() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("nobody took me");
        }
    }
    let pool = one_thread();
    let (release, gate) = mpsc::channel::<()>();
    let (tell, busy) = oneshot::channel();
    let caller = tokio::spawn({
        let pool = pool.clone();
        async move {
            let job = move || {
                tell.send(()).ok();
                gate.recv().ok();
                Bomb
            };
            pool.run(Priority::Normal, job).await.map(std::mem::forget)
        }
    });
    busy.await.expect("the job has started");
    caller.abort();
    assert!(caller.await.expect_err("aborted").is_cancelled());
    release.send(()).expect("the job listens");
    assert_eq!(pool.run(Priority::Normal, || 1).await, Ok(1));
}

#[tokio::test]
async fn the_threads_end_with_the_last_clone() {
    let pool = one_thread();
    pool.run(Priority::Normal, || ()).await.expect("no panic");
    let Kind::Threads(owner) = &pool.0 else { panic!("it has threads") };
    let shared = Arc::downgrade(&owner.0);
    drop(pool);
    // The threads give up their share as they end; yielding is all that this waits with.
    while shared.strong_count() > 0 {
        std::thread::yield_now();
    }
}

#[tokio::test(start_paused = true)]
async fn an_inline_job_can_be_aborted_before_it_starts() {
    let pool = Pool::inline();
    let job = pool.run(Priority::Normal, || panic!("must not run"));
    let aborted = tokio::time::timeout(Duration::ZERO, async {
        tokio::select! {
            biased;
            result = job => result,
            () = std::future::ready(()) => Ok(()),
        }
    });
    assert_eq!(aborted.await, Ok(Ok(())));
    assert_eq!(format!("{pool:?} {:?}", one_thread()), "Pool(Inline) Pool(Threads(Owner(Pool)))");
}

#[tokio::test]
async fn a_faulty_pool_panics_as_often_as_it_was_told() {
    let panics = Arc::new(AtomicU32::new(2));
    let pool = Pool::faulty(panics.clone());
    for _ in 0..2 {
        let failed = pool.run(Priority::Normal, || 7).await;
        assert_eq!(failed, Err(PoolError::Panicked("told to panic".to_owned())));
    }
    assert_eq!(pool.run(Priority::Normal, || 7).await, Ok(7));
    assert_eq!(panics.load(Ordering::Relaxed), 0);
}
