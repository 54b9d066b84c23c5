//! One seed once more, with everything that happens.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use alys_actors::DECISIONS;
use alys_sim::process::NODE_SPAN;
use alys_sim::siege::{self, Attack};
use alys_sim::site::Site;
use alys_sim::tap::BEGINNING;
use alys_sim::{Log, Plan};
use alys_wire::PeerId;
use tokio::time::Instant;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::report::{self, say};

/// Plays a world; whether it held.
pub fn world(plan: &Plan, decisions: bool) -> bool {
    listen(decisions, &Site::new(plan).peers);
    let outcome = alys_sim::run(plan, Log::Tell(show));
    say(&report::line(&outcome));
    outcome.violations.iter().for_each(|violation| say(&format!("  {violation}")));
    outcome.passed()
}

/// Plays an attack, or the kills; whether the node held.
pub fn siege(attack: Option<&Attack>, seed: u64, decisions: bool) -> bool {
    let clean = siege::clean(seed);
    listen(decisions, &siege::Ground::shared().site.peers);
    let log = Log::Tell(show);
    let siege = match attack {
        Some(attack) => siege::besieged(attack, seed, clean, log),
        None => siege::kills::run(seed, clean, log),
    };
    say(&report::siege(&siege));
    siege.violations.iter().for_each(|violation| say(&format!("  {violation}")));
    siege.passed()
}

#[expect(clippy::print_stdout, reason = "what happens is what the command was asked for")]
fn show(line: &str) {
    println!("{line}");
}

/// Shows what the nodes log, if `RUST_LOG` asks for it, and on request what their machines decide.
fn listen(decisions: bool, peers: &[PeerId]) {
    let mut filter = EnvFilter::from_default_env();
    let wanted = format!("{DECISIONS}=trace,{BEGINNING}=info,alys_sim=info,alys_actor=info");
    for directive in wanted.split(',').filter(|_| decisions) {
        filter = filter.add_directive(directive.parse().expect("a target and a level"));
    }
    let names = peers.iter().enumerate().map(|(node, peer)| (format!("{peer:?}"), format!("node {node}")));
    let lines = Lines { began: Mutex::new(None), names: names.collect() };
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).event_format(lines).init();
}

/// Writes what is logged as the events of the world are written: the virtual time, the node, what it says; peers by their numbers.
struct Lines {
    /// When the world began.
    began: Mutex<Option<Instant>>,
    names: Vec<(String, String)>,
}

impl Lines {
    /// The time since the world began, which the first event of it tells.
    fn since(&self, event: &Event<'_>) -> Duration {
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if event.metadata().target() == BEGINNING {
            *began = Some(Instant::now());
        }
        began.map_or(Duration::ZERO, |began| began.elapsed())
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        let spans = ctx.event_scope().into_iter().flatten();
        for span in spans.filter(|span| span.name() == NODE_SPAN) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                text.push_str(fields.fields.trim_start_matches("place="));
                text.push(' ');
            }
        }
        let meta = event.metadata();
        if meta.target() != DECISIONS {
            text.push_str(&format!("{} {}: ", meta.level(), meta.target()));
        }
        ctx.field_format().format_fields(Writer::new(&mut text), event)?;
        let named = self.names.iter().fold(text, |text, (id, name)| text.replace(id, name));
        writeln!(writer, "{:>10.4} {named}", self.since(event).as_secs_f64())
    }
}
