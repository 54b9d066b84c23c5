//! `bench sync`: fresh nodes sync histories from source processes, near and far, good and bad; beside them, in the same run, each stage
//! alone and the plain client.

use std::collections::BTreeMap;

use alys_figure::Figure;
use anyhow::{Result, ensure};
use clap::Args;

use crate::cores;
use crate::history::{Kind, Scale};
use crate::judge::{Beside, Measured, float, short};
use crate::room::{Guests, Room};
use crate::rows::{self, Net, Row, Weather};
use crate::stages::rate;
use crate::table::{or_dash, render};

/// The arguments of `bench sync`.
#[derive(Debug, Args)]
pub struct Sync {
    /// What lies between the sources and the node; everything if it is left out.
    #[arg(long = "net", value_enum, value_delimiter = ',')]
    nets: Vec<Net>,
    /// What is in the blocks.
    #[arg(long = "blocks-kind", value_enum, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// How many sources there are, each a process of its own.
    #[arg(long, value_delimiter = ',')]
    sources: Vec<usize>,
    /// How the peers of the uneven links are.
    #[arg(long = "weather", value_enum, value_delimiter = ',')]
    weathers: Vec<Weather>,
    /// How many blocks, instead of what the figures are promised for.
    #[arg(long)]
    blocks: Option<u64>,
    /// Fewer blocks: some seconds a row.
    #[arg(long)]
    quick: bool,
    /// Measure the sync only: no stages, no plain client, so no ceiling and no ratio.
    #[arg(long)]
    only: bool,
    /// The node says now and then why its rate is what it is.
    #[arg(long)]
    explain: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: &Sync) -> Result<()> {
    ensure!(command.sources.iter().all(|count| *count > 0), "a sync needs a source: --sources 1");
    let choice = rows::Choice {
        nets: command.nets.clone(),
        kinds: command.kinds.clone(),
        sources: command.sources.clone(),
        weathers: command.weathers.clone(),
    };
    let rows = rows::select(&choice);
    ensure!(!rows.is_empty(), "no row is like this");
    let all = measure(&rows, command, &|figure| {
        if command.json {
            figure.print(true);
        }
    })?;
    if !command.json {
        print_tables(&all);
    }
    let missed = all.iter().filter(|one| !one.misses(cores::available()).is_empty()).count();
    ensure!(missed == 0, "{missed} of {} rows miss what is promised for them", all.len());
    Ok(())
}

/// Measures the rows, those of a kind behind its ceilings and before others, and shows each figure as soon as it is there.
fn measure(rows: &[Row], command: &Sync, show: &dyn Fn(Figure)) -> Result<Vec<Measured>> {
    let scale = if command.quick { Scale::Quick } else { Scale::Full };
    let mut all = Vec::new();
    let kinds: std::collections::BTreeSet<Kind> = rows.iter().map(|row| row.kind).collect();
    for kind in kinds {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.kind == kind).collect();
        let most = rows.iter().map(|row| row.sources).max().unwrap_or(1);
        let room = Room::new(kind, command.blocks.unwrap_or(kind.blocks(scale)), most)?;
        let beside = (!command.only)
            .then(|| said(&format!("stages and baseline of {}", kind.name()), || room.beside()));
        let mut beside = beside.transpose()?;
        beside.iter().flat_map(|beside| figures_beside(kind, beside)).for_each(show);
        let mut loopback = None;
        for row in rows {
            let mut one = said(&row.name(), || measure_row(&room, row, command.explain))?;
            if let Some(beside) = &mut beside {
                // The machine is not the same from one minute to the next: what is possible is the mean of before and behind.
                let behind = said(&format!("stages of {} once more", kind.name()), || room.ceilings())?;
                one.beside = Some(Beside { ceilings: beside.ceilings.mean(&behind), ..beside.clone() });
                beside.ceilings = behind;
            }
            if *row == Row::plain(Net::Loopback, kind, 1) {
                loopback = Some(one.rate);
            }
            one.loopback = loopback;
            show(figure(&one));
            all.push(one);
        }
    }
    Ok(all)
}

/// Says what is measured now, for whoever waits.
fn said<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("measuring {what}");
    work()
}

fn measure_row(room: &Room, row: &Row, explained: bool) -> Result<Measured> {
    let run = room.sync(&Guests { explained, ..Guests::of(row) }, row.cap)?;
    Ok(Measured {
        row: *row,
        blocks: room.blocks,
        rate: rate(room.blocks, run.took),
        block_bytes: room.history.block_bytes,
        beside: None,
        loopback: None,
        rss_mb: run.report.peak_rss.map(|bytes| float(bytes) / 1e6),
        budget: (run.inside.budget_peak, run.inside.budget_total),
        duplicates: run.duplicates(room),
        overhead: run.overhead(room),
    })
}

/// The ceilings and the baseline of a kind.
fn figures_beside(kind: Kind, beside: &Beside) -> Vec<Figure> {
    let kind = kind.name();
    let stage = |(name, rate)| Figure::new(format!("stage/{kind}/{name}"), rate, "blocks/s");
    let mut figures: Vec<Figure> = beside.ceilings.iter().map(stage).collect();
    figures.push(Figure::new(format!("baseline/loopback/{kind}"), beside.baseline, "blocks/s"));
    figures
}

/// The columns have the names that are relied on.
fn figure(one: &Measured) -> Figure {
    let net = match one.row.net {
        Net::Loopback => "loopback",
        Net::Rtt100 => "rtt100",
        Net::Uneven => "uneven",
    };
    let misses = one.misses(cores::available());
    let mut figure = Figure::new(format!("sync/{}", one.row.name()), one.rate, "blocks/s")
        .column("blocks", one.row.kind.name())
        .column("count", one.blocks)
        .column("net", net)
        .column("sources", one.row.sources)
        .column("mb_per_s", one.mb_per_second())
        .column("budget_peak_bytes", one.budget.0)
        .column("duplicates", one.duplicates)
        .pass(misses.is_empty());
    let columns: BTreeMap<&str, f64> = [("rss_mb", one.rss_mb), ("overhead", one.overhead)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    figure = columns.into_iter().fold(figure, |figure, (name, value)| figure.column(name, value));
    if let Some(loopback) = one.loopback {
        figure = figure.column("of_loopback", one.rate / loopback);
    }
    if !misses.is_empty() {
        figure = figure.column("misses", misses.join("; "));
    }
    if let Some(beside) = &one.beside {
        figure = figure.against(beside.baseline);
        for (name, rate) in beside.ceilings.iter() {
            figure = figure.column(&format!("ceiling_{name}"), rate);
        }
    }
    match one.possible() {
        Some((possible, limit)) => figure.possible(possible).column("limit", limit),
        None => figure,
    }
}

#[expect(clippy::print_stdout, reason = "the tables are what the command was asked for")]
fn print_tables(all: &[Measured]) {
    let mut ceilings: Vec<Vec<String>> = Vec::new();
    for one in all {
        let Some(beside) = &one.beside else { continue };
        let name = one.row.kind.name();
        if ceilings.iter().any(|row| row[0] == name) {
            continue;
        }
        let rates = beside.ceilings.iter().map(|(_, rate)| rate).chain([beside.baseline]);
        ceilings
            .push(std::iter::once(name.to_owned()).chain(rates.map(short)).chain([String::new()]).collect());
    }
    if !ceilings.is_empty() {
        let head = [
            "blocks/s alone",
            "transport",
            "approvals",
            "senders",
            "execution",
            "commit",
            "plain client",
            "",
        ];
        println!("{}", render(&head, &ceilings));
    }
    let head = [
        "row",
        "blocks/s",
        "MB/s",
        "possible",
        "achieved",
        "x plain",
        "of near",
        "MB mem",
        "budget",
        "twice",
        "overhead",
        "limit, and what is missed",
    ];
    print!("{}", render(&head, &all.iter().map(cells).collect::<Vec<_>>()));
}

fn cells(one: &Measured) -> Vec<String> {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let fine = |share: f64| format!("{:.1} %", 100.0 * share);
    let possible = one.possible();
    let misses = one.misses(cores::available());
    let limit = possible.map_or("", |(_, name)| name);
    vec![
        one.row.name(),
        short(one.rate),
        short(one.mb_per_second()),
        or_dash(possible.map(|(rate, _)| rate), short),
        or_dash(one.share(), percent),
        or_dash(one.beside.as_ref().map(|beside| one.rate / beside.baseline), short),
        or_dash(one.loopback.map(|loopback| one.rate / loopback), percent),
        or_dash(one.rss_mb, short),
        percent(float(one.budget.0) / float(one.budget.1.max(1))),
        fine(one.duplicates),
        or_dash(one.overhead, fine),
        if misses.is_empty() { limit.to_owned() } else { format!("{limit}; MISSES {}", misses.join(", ")) },
    ]
}
