//! The one loop that starts, restarts and stops children.

use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};

use super::child::{Child, Phase, Ready};
use super::status::{CrashedMessage, Event};
use super::{Command, Stage, Supervisor};
use crate::exit::{ExitReason, panic_words};
use crate::policy::Strategy;
use crate::seed::Stream;

/// How often handlers and backlogs are looked at. A twentieth of a stuck handler's ten seconds is soon enough, and a look
/// costs microseconds.
const WATCH_PERIOD: Duration = Duration::from_millis(500);

/// An incarnation that has ended: child, incarnation, how.
type Ended = (usize, u64, Result<ExitReason, JoinError>);

pub(crate) struct Loop {
    children: Vec<Child>,
    rng: Stream,
    events: broadcast::Sender<Event>,
    commands: mpsc::Receiver<Command>,
    stage: watch::Sender<Stage>,
    ended: JoinSet<Ended>,
    /// One notice an incarnation, so it needs no bound.
    ready: Ready,
    started: mpsc::UnboundedReceiver<(usize, u64)>,
    shutting_down: bool,
    next_watch: Instant,
}

impl Loop {
    pub(crate) fn new(
        supervisor: Supervisor,
        commands: mpsc::Receiver<Command>,
        stage: watch::Sender<Stage>,
    ) -> Self {
        let (ready, started) = mpsc::unbounded_channel();
        Self {
            children: supervisor.children,
            rng: supervisor.rng,
            events: supervisor.events,
            commands,
            stage,
            ended: JoinSet::new(),
            ready,
            started,
            shutting_down: false,
            next_watch: Instant::now() + WATCH_PERIOD,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            self.advance();
            if self.shutting_down && self.children.iter().all(|child| child.phase.task().is_none()) {
                break;
            }
            self.wait().await;
        }
        // Closes the mailboxes before anybody hears that all is over.
        self.children.clear();
        self.tell(Event::Stopped);
        self.stage.send_replace(Stage::Stopped);
    }

    async fn wait(&mut self) {
        let pause = self.next_wake().saturating_duration_since(Instant::now());
        tokio::select! {
            biased;
            command = self.commands.recv(), if !self.shutting_down => self.on_command(command),
            // Before the ends: what started and crashed at once did start.
            Some((child, incarnation)) = self.started.recv() => self.on_started(child, incarnation),
            Some(Ok((child, incarnation, how))) = self.ended.join_next() => self.on_ended(child, incarnation, how),
            () = sleep(pause) => {}
        }
    }

    fn on_command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Restart { child, incarnation }) => self.on_restart(child, incarnation),
            Some(Command::Shutdown) | None => self.on_shutdown(),
        }
    }

    fn on_restart(&mut self, index: usize, incarnation: u64) {
        let child = &mut self.children[index];
        if child.incarnation != incarnation {
            return;
        }
        match child.phase {
            Phase::Starting { .. } | Phase::Running { .. } => {
                child.must_stop = Some(ExitReason::Requested);
                self.widen(index);
            }
            Phase::Failed => {
                child.history.clear();
                child.entry.gauge.open(true);
                child.enter(Phase::Waiting { at: Instant::now(), ordered: true });
            }
            Phase::Waiting { .. } | Phase::Ending { .. } | Phase::Finished | Phase::Stopped => {}
        }
    }

    fn on_shutdown(&mut self) {
        self.shutting_down = true;
        for child in &mut self.children {
            match child.phase {
                Phase::Waiting { .. } => child.enter(Phase::Stopped),
                Phase::Starting { .. } | Phase::Running { .. } | Phase::Ending { .. } => {
                    child.must_stop = Some(ExitReason::Shutdown);
                }
                Phase::Finished | Phase::Failed | Phase::Stopped => {}
            }
        }
    }

    fn on_started(&mut self, index: usize, incarnation: u64) {
        let child = &mut self.children[index];
        if child.incarnation != incarnation {
            return;
        }
        if let Phase::Starting { task, .. } = &child.phase {
            let task = task.clone();
            child.enter(Phase::Running { task });
            let actor = child.name();
            self.tell(Event::Started { actor, incarnation });
        }
    }

    fn on_ended(&mut self, index: usize, incarnation: u64, how: Result<ExitReason, JoinError>) {
        let child = &self.children[index];
        // An abandoned incarnation that ended after all is no news.
        if child.incarnation != incarnation || child.phase.task().is_none() {
            return;
        }
        let reason = reason_of(how);
        match &child.phase {
            Phase::Ending { why, .. } => {
                let why = why.clone();
                self.settle(index, why, reason);
            }
            _ => self.settle(index, reason.clone(), reason),
        }
    }

    /// Closes the account of an incarnation. `why` it was to end decides what follows; `how` it ended is reported where it
    /// crashed on the way.
    fn settle(&mut self, index: usize, why: ExitReason, how: ExitReason) {
        let child = &mut self.children[index];
        let (actor, incarnation) = (child.name(), child.incarnation);
        let reported = if why.is_crash() || !how.is_crash() { why.clone() } else { how };
        let message = child.entry.gauge.take_current().filter(|_| reported.is_crash());
        let message = message.map(|current| CrashedMessage {
            name: current.name,
            correlation: current.correlation,
            fate: current.fate,
        });
        if reported.is_crash() {
            child.entry.record().last_error = Some(reported.to_string());
            tracing::warn!(actor, incarnation, reason = %reported, message = message.map(|m| m.name), "actor crashed");
        }
        child.backlogged = false;
        self.tell(Event::Exited { actor, incarnation, reason: reported, message });
        self.follow(index, why);
    }

    fn follow(&mut self, index: usize, why: ExitReason) {
        let now = Instant::now();
        let child = &mut self.children[index];
        let with_elder = child.must_stop.take() == Some(ExitReason::Elder);
        if self.shutting_down {
            child.enter(if why == ExitReason::Finished { Phase::Finished } else { Phase::Stopped });
        } else if !why.restarts() {
            child.entry.gauge.close();
            child.enter(Phase::Finished);
        } else if !why.is_crash() {
            self.restart_after(index, Duration::ZERO, &why, with_elder);
        } else if let Some(after) = child.history.crash(now, &mut self.rng) {
            self.widen(index);
            self.restart_after(index, after, &why, with_elder);
        } else {
            self.give_up(index, why);
        }
    }

    fn restart_after(&mut self, index: usize, after: Duration, why: &ExitReason, with_elder: bool) {
        let child = &mut self.children[index];
        *child.entry.record().restarts.entry(why.label()).or_default() += 1;
        let ordered = with_elder || child.policy.strategy == Strategy::RestForOne;
        child.enter(Phase::Waiting { at: Instant::now() + after, ordered });
        let actor = child.name();
        self.tell(Event::Restarting { actor, after });
    }

    fn give_up(&mut self, index: usize, reason: ExitReason) {
        self.widen(index);
        let child = &mut self.children[index];
        child.entry.gauge.open(false);
        child.enter(Phase::Failed);
        let actor = child.name();
        tracing::error!(actor, %reason, "actor crashed too often and was given up");
        self.tell(Event::Escalated { actor, reason });
    }

    /// Marks those that live on the state of `elder` for a restart after it.
    fn widen(&mut self, elder: usize) {
        if self.children[elder].policy.strategy != Strategy::RestForOne {
            return;
        }
        for child in &mut self.children[elder + 1..] {
            match &mut child.phase {
                Phase::Starting { .. } | Phase::Running { .. } => {
                    child.must_stop.get_or_insert(ExitReason::Elder);
                }
                Phase::Waiting { ordered, .. } => *ordered = true,
                // Its end is under way, and it waits for its elders after it.
                Phase::Ending { .. } => child.must_stop = Some(ExitReason::Elder),
                Phase::Finished | Phase::Failed | Phase::Stopped => {}
            }
        }
    }

    /// Does whatever may be done now: late ones are ended, marked ones stopped, due ones started.
    fn advance(&mut self) {
        self.enforce_limits();
        self.stop_next();
        self.start_due();
        let waits = |child: &Child| matches!(child.phase, Phase::Waiting { .. } | Phase::Starting { .. });
        if *self.stage.borrow() == Stage::Starting && !self.children.iter().any(waits) {
            self.stage.send_replace(Stage::Running);
        }
    }

    fn enforce_limits(&mut self) {
        let now = Instant::now();
        let watch = now >= self.next_watch;
        if watch {
            self.next_watch = now + WATCH_PERIOD;
        }
        for index in 0..self.children.len() {
            let child = &mut self.children[index];
            let (start_limit, kill_limit) = (child.policy.start_timeout, child.policy.kill_timeout);
            match &child.phase {
                Phase::Starting { since, .. } if now >= *since + start_limit => {
                    child.end(ExitReason::StartTimeout, true);
                }
                Phase::Ending { since, aborted: false, .. } if now >= *since + kill_limit => {
                    child.end(ExitReason::Killed, true);
                }
                Phase::Ending { since, aborted: true, .. } if now >= *since + kill_limit => {
                    self.abandon(index)
                }
                Phase::Running { .. } if watch => self.watch(index, now),
                _ => {}
            }
        }
    }

    fn abandon(&mut self, index: usize) {
        let child = &self.children[index];
        let (actor, incarnation) = (child.name(), child.incarnation);
        let Phase::Ending { why, .. } = &child.phase else { return };
        let why = why.clone();
        self.tell(Event::Abandoned { actor, incarnation });
        self.settle(index, why, ExitReason::Killed);
    }

    fn watch(&mut self, index: usize, now: Instant) {
        let child = &mut self.children[index];
        let (actor, incarnation) = (child.name(), child.incarnation);
        if let Some(current) = child.entry.gauge.current() {
            let since = now.duration_since(current.since);
            if since >= child.policy.handler_limit {
                child.end(ExitReason::Stuck, true);
                self.tell(Event::Stuck { actor, incarnation, message: current.name, since });
                return;
            }
        }
        let status = child.entry.gauge.status();
        let late = status.oldest_wait >= child.policy.backlog_limit;
        let news = late && !child.backlogged;
        child.backlogged = late;
        if news {
            let (oldest, messages) = (status.oldest_wait, status.messages());
            tracing::warn!(actor, ?oldest, messages, "mailbox backlog");
            self.tell(Event::Backlog { actor, oldest, messages });
        }
    }

    /// Stops the youngest of the marked children, one at a time.
    fn stop_next(&mut self) {
        let Some(child) = self.children.iter_mut().rfind(|child| child.must_stop.is_some()) else { return };
        if matches!(child.phase, Phase::Starting { .. } | Phase::Running { .. }) {
            let why = child.must_stop.clone().unwrap_or(ExitReason::Requested);
            child.end(why, false);
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        let stopping = self.children.iter().any(|child| child.must_stop.is_some());
        let mut elders_run = true;
        for index in 0..self.children.len() {
            let child = &self.children[index];
            let due = match child.phase {
                Phase::Waiting { at, ordered: true } => at <= now && elders_run && !stopping,
                Phase::Waiting { at, ordered: false } => at <= now,
                _ => false,
            };
            if due {
                self.launch(index);
            }
            elders_run &= self.children[index].lets_younger_start();
        }
    }

    fn launch(&mut self, index: usize) {
        let child = &mut self.children[index];
        let task = child.launch(index, self.ready.clone());
        let incarnation = child.incarnation;
        self.ended.spawn(async move { (index, incarnation, task.await) });
    }

    /// When something is due by itself.
    fn next_wake(&self) -> Instant {
        let due = self.children.iter().filter_map(|child| match &child.phase {
            // One that is due already waits for its elders, not for the time.
            Phase::Waiting { at, .. } => Some(*at).filter(|at| *at > Instant::now()),
            Phase::Starting { since, .. } => Some(*since + child.policy.start_timeout),
            Phase::Ending { since, .. } => Some(*since + child.policy.kill_timeout),
            Phase::Running { .. } | Phase::Finished | Phase::Failed | Phase::Stopped => None,
        });
        due.min().unwrap_or(self.next_watch).min(self.next_watch)
    }

    fn tell(&self, event: Event) {
        // Nobody needs to listen.
        self.events.send(event).ok();
    }
}

fn reason_of(how: Result<ExitReason, JoinError>) -> ExitReason {
    match how {
        Ok(reason) => reason,
        Err(join) => match join.try_into_panic() {
            Ok(panic) => ExitReason::Panicked(panic_words(&*panic)),
            Err(_) => ExitReason::Killed,
        },
    }
}
