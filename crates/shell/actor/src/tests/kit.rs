//! An actor that does as it is told, and writes down what it did.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::*;

/// What the actors of a test did, in order.
#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// How an [`Obedient`] starts and stops.
#[derive(Clone, Default)]
pub struct Habits {
    pub start_takes: Duration,
    pub stop_takes: Duration,
    /// The incarnations whose start panics.
    pub start_panics: Vec<u64>,
    /// The incarnations whose start fails.
    pub start_fails: Vec<u64>,
}

/// Does what its messages say. Its seed is a number that it counts on.
pub struct Obedient {
    pub name: &'static str,
    pub diary: Diary,
    pub habits: Habits,
    pub count: u64,
}

impl Actor for Obedient {
    type Seed = u64;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Fault> {
        tokio::time::sleep(self.habits.start_takes).await;
        assert!(!self.habits.start_panics.contains(&ctx.incarnation()), "told to panic at the start");
        if self.habits.start_fails.contains(&ctx.incarnation()) {
            return Err("told to fail at the start".into());
        }
        self.diary.write(format!("{} {} up", self.name, ctx.incarnation()));
        Ok(())
    }

    async fn stopping(&mut self, ctx: &mut Context<Self>) {
        tokio::time::sleep(self.habits.stop_takes).await;
        self.diary.write(format!("{} {} down", self.name, ctx.incarnation()));
    }
}

pub struct Spec {
    pub name: &'static str,
    pub config: MailboxConfig,
    pub policy: ChildPolicy,
    pub habits: Habits,
}

impl Spec {
    pub fn new(name: &'static str) -> Self {
        let (config, policy) = (MailboxConfig::default(), ChildPolicy::default());
        Self { name, config, policy, habits: Habits::default() }
    }

    pub fn policy(mut self, change: impl FnOnce(&mut ChildPolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub fn habits(mut self, habits: Habits) -> Self {
        self.habits = habits;
        self
    }

    /// `messages` in every lane.
    pub fn room(mut self, messages: usize) -> Self {
        self.config.lanes = [LaneLimit { messages, bytes: 10_000 }; 3];
        self
    }

    pub fn build(self, diary: &Diary) -> (ChildSpec, Addr<Obedient>) {
        let mailbox = Mailbox::new(self.name, self.config);
        let addr = mailbox.addr();
        let (name, habits, diary) = (self.name, self.habits, diary.clone());
        let build = move |count| Obedient { name, diary: diary.clone(), habits: habits.clone(), count };
        (ChildSpec::new(mailbox, 0, build).policy(self.policy), addr)
    }
}

/// One child, under a supervisor that is up.
pub struct Solo {
    pub addr: Addr<Obedient>,
    pub diary: Diary,
    pub supervisor: SupervisorHandle,
    pub events: broadcast::Receiver<Event>,
}

impl Solo {
    pub async fn start(spec: Spec) -> Self {
        let solo = Self::begin(spec);
        solo.supervisor.running().await;
        solo
    }

    pub fn begin(spec: Spec) -> Self {
        let diary = Diary::default();
        let (child, addr) = spec.build(&diary);
        let supervisor = Supervisor::new(&Randomness::seeded(1)).child(child);
        let events = supervisor.events();
        Self { addr, diary, supervisor: supervisor.start(), events }
    }

    pub fn status(&self) -> ActorStatus {
        self.supervisor.status().remove(0)
    }
}

/// The next event for which `wanted` has an answer.
pub async fn next<T>(events: &mut broadcast::Receiver<Event>, wanted: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(&events.recv().await.expect("the story must go on")) {
            return found;
        }
    }
}

pub async fn next_exit(events: &mut broadcast::Receiver<Event>) -> (ExitReason, Option<CrashedMessage>) {
    let exit = |event: &Event| match event {
        Event::Exited { reason, message, .. } => Some((reason.clone(), *message)),
        _ => None,
    };
    next(events, exit).await
}

/// Writes `text`; the reply is how many have been written since the seed.
#[derive(Clone, Debug)]
pub struct Write {
    pub text: &'static str,
    pub lane: Lane,
    pub overflow: Overflow,
    pub size: usize,
}

pub fn write(text: &'static str) -> Write {
    Write { text, lane: Lane::Normal, overflow: Overflow::Wait, size: 1 }
}

impl Write {
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    pub fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }
}

impl Message for Write {
    type Reply = u64;
    const NAME: &'static str = "write";

    fn lane(&self) -> Lane {
        self.lane
    }

    fn overflow(&self) -> Overflow {
        self.overflow
    }

    fn size(&self) -> usize {
        self.size
    }
}

impl Handler<Write> for Obedient {
    async fn handle(&mut self, message: Write, ctx: &mut Context<Self>) -> u64 {
        self.diary.write(message.text);
        self.count += 1;
        ctx.checkpoint(self.count);
        self.count
    }
}

/// Panics.
pub struct Panic;

impl Message for Panic {
    type Reply = ();
    const NAME: &'static str = "panic";
}

impl Handler<Panic> for Obedient {
    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("told to panic");
    }
}

/// Panics the first `times` times that it is delivered, and may be delivered again.
#[derive(Clone)]
pub struct PanicTwice {
    pub times: usize,
    pub seen: Arc<Mutex<usize>>,
}

impl PanicTwice {
    pub fn times(times: usize) -> Self {
        Self { times, seen: Arc::default() }
    }
}

impl Message for PanicTwice {
    type Reply = &'static str;
    const NAME: &'static str = "panic twice";

    fn retry(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Handler<PanicTwice> for Obedient {
    async fn handle(&mut self, message: PanicTwice, _: &mut Context<Self>) -> &'static str {
        let seen = {
            let mut seen = message.seen.lock().unwrap();
            *seen += 1;
            *seen
        };
        assert!(seen > message.times, "told to panic");
        "survived"
    }
}

/// Takes this long.
pub struct Sleep(pub Duration);

impl Message for Sleep {
    type Reply = ();
    const NAME: &'static str = "sleep";
}

impl Handler<Sleep> for Obedient {
    async fn handle(&mut self, message: Sleep, _: &mut Context<Self>) {
        tokio::time::sleep(message.0).await;
        self.diary.write("slept");
    }
}

type Order = Box<dyn FnOnce(&mut Obedient, &mut Context<Obedient>) + Send>;

/// Does this with the actor and its context.
pub struct Do(pub Order);

pub fn order(order: impl FnOnce(&mut Obedient, &mut Context<Obedient>) + Send + 'static) -> Do {
    Do(Box::new(order))
}

impl Message for Do {
    type Reply = ();
    const NAME: &'static str = "do";
}

impl Handler<Do> for Obedient {
    async fn handle(&mut self, message: Do, ctx: &mut Context<Self>) {
        (message.0)(self, ctx);
    }
}

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
