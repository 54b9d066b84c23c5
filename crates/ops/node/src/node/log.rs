//! The log of the node: on standard error, as text or JSON.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::exit::{Exit, Failure};
use crate::settings::{Log, LogFormat};

/// What the libraries say at `info` is of use to their authors only; the filter of the settings can ask for it.
const LIBRARIES: &str = "fjall=warn,lsm_tree=warn,libp2p_swarm=warn,libp2p_kad=error";

/// Starts to log, for the rest of the process.
///
/// # Errors
/// [`Exit::Settings`] when the filter makes no sense.
pub fn start(settings: &Log) -> Result<(), Failure> {
    let filter = filter(&settings.filter)?;
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let started = match settings.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // In tests another node of the same process may have started it.
    started.ok();
    Ok(())
}

fn filter(text: &str) -> Result<EnvFilter, Failure> {
    EnvFilter::builder().parse(format!("{LIBRARIES},{text}")).map_err(|error| {
        let message = format!("`log.filter` is `{text}`, which is no filter ({error}): write something like `info,alys_sync=debug`");
        Failure::new(Exit::Settings, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_makes_no_sense_is_a_wrong_setting() {
        assert!(filter("info,alys_sync=debug").unwrap().to_string().contains("fjall=warn"));
        assert!(!filter("info,fjall=debug").unwrap().to_string().contains("fjall=warn"));
        let failure = filter("alys_sync=loudly").unwrap_err();
        assert_eq!(failure.exit, Exit::Settings);
        assert!(failure.message.contains("loudly"), "{failure}");
    }
}
