//! What the kernel costs: asks and bounded tells a second, and the time from a panic to the next answer.
//!
//! `cargo bench -p alys-actor`; "elements" are messages.

use std::hint::black_box;
use std::time::Duration;

use alys_actor::{
    Actor, Addr, ChildPolicy, ChildSpec, Context, Handler, Intensity, Mailbox, MailboxConfig, Message,
    Randomness, Supervisor, SupervisorHandle,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};

/// Senders at once: the callers of a busy actor.
const SENDERS: u64 = 64;

struct Counter(u64);

impl Actor for Counter {
    type Seed = u64;
}

struct Add;

impl Message for Add {
    type Reply = u64;
    const NAME: &'static str = "add";
}

impl Handler<Add> for Counter {
    async fn handle(&mut self, _: Add, _: &mut Context<Self>) -> u64 {
        self.0 += 1;
        self.0
    }
}

struct Crash;

impl Message for Crash {
    type Reply = ();
    const NAME: &'static str = "crash";
}

impl Handler<Crash> for Counter {
    async fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        // As a panic, but without its message on the terminal.
        std::panic::resume_unwind(Box::new("crash"));
    }
}

fn runtimes() -> [(&'static str, Runtime); 2] {
    let one = Builder::new_current_thread().enable_all().build();
    let four = Builder::new_multi_thread().worker_threads(4).enable_all().build();
    [("one thread", one.expect("a runtime")), ("four threads", four.expect("a runtime"))]
}

async fn start() -> (Addr<Counter>, SupervisorHandle) {
    let mailbox = Mailbox::new("counter", MailboxConfig::default());
    let addr = mailbox.addr();
    // Every restart is immediate, as the first one is: what is measured is the way, not the back-off.
    let policy = ChildPolicy {
        intensity: Intensity { restarts: usize::MAX, window: Duration::ZERO },
        ..ChildPolicy::default()
    };
    let child = ChildSpec::new(mailbox, 0, Counter).policy(policy);
    let supervisor = Supervisor::new(&Randomness::seeded(1)).child(child).start();
    supervisor.running().await;
    (addr, supervisor)
}

/// The time that `messages` asks take, from 64 tasks or one.
async fn asks(addr: &Addr<Counter>, messages: u64, senders: u64) -> Duration {
    let begun = tokio::time::Instant::now();
    let tasks: Vec<_> = (0..senders)
        .map(|_| {
            let addr = addr.clone();
            tokio::spawn(async move {
                for _ in 0..messages / senders {
                    black_box(addr.ask(Add).await.expect("an answer"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    begun.elapsed()
}

/// The time that `messages` tells take to be handled, waiting for room where the lane is full.
async fn tells(addr: &Addr<Counter>, messages: u64) -> Duration {
    let begun = tokio::time::Instant::now();
    for _ in 0..messages {
        addr.tell(Add).await.expect("the mailbox is open");
    }
    addr.ask(Add).await.expect("an answer");
    begun.elapsed()
}

/// The time from sending a message that crashes to the answer to the next one, summed.
async fn recoveries(addr: &Addr<Counter>, crashes: u64) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..crashes {
        let begun = tokio::time::Instant::now();
        addr.tell(Crash).await.expect("the mailbox is open");
        addr.ask(Add).await.expect("an answer");
        total += begun.elapsed();
    }
    total
}

fn throughput(c: &mut Criterion) {
    const BATCH: u64 = 64 * 1_000;
    for (name, runtime) in runtimes() {
        let (addr, supervisor) = runtime.block_on(start());
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(BATCH)).sample_size(20);
        group.bench_function("asks, 64 senders", |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| runtime.block_on(asks(&addr, BATCH, SENDERS))).sum());
        });
        group.bench_function("asks, 1 sender", |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| runtime.block_on(asks(&addr, BATCH, 1))).sum());
        });
        group.bench_function("tells, bounded", |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| runtime.block_on(tells(&addr, BATCH))).sum());
        });
        group.finish();
        runtime.block_on(supervisor.shutdown());
    }
}

fn recovery(c: &mut Criterion) {
    for (name, runtime) in runtimes() {
        let (addr, supervisor) = runtime.block_on(start());
        let mut group = c.benchmark_group(name);
        group.bench_function("answer after a panic", |b| {
            b.iter_custom(|rounds| runtime.block_on(recoveries(&addr, rounds)));
        });
        group.finish();
        runtime.block_on(supervisor.shutdown());
    }
}

criterion_group!(benches, throughput, recovery);
criterion_main!(benches);
