//! Why an incarnation ended.

/// Why an incarnation ended. The list is closed: the supervisor's answer to each is in this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Its work is done; it is not started again.
    Finished,
    /// The supervisor is shutting down.
    Shutdown,
    /// A restart was asked for.
    Requested,
    /// An elder that it depends on is being restarted.
    Elder,
    /// It gave up, in its own words.
    Failed(String),
    /// It could not start, in its own words.
    StartFailed(String),
    /// It did not start in time.
    StartTimeout,
    /// It, or one of its tasks, panicked with this message.
    Panicked(String),
    /// One message took longer than the handler limit.
    Stuck,
    /// It was told to stop and did not in time.
    Killed,
}

impl ExitReason {
    /// Its label in metrics and status.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Shutdown => "shutdown",
            Self::Requested => "requested",
            Self::Elder => "elder",
            Self::Failed(_) => "failed",
            Self::StartFailed(_) => "start_failed",
            Self::StartTimeout => "start_timeout",
            Self::Panicked(_) => "panicked",
            Self::Stuck => "stuck",
            Self::Killed => "killed",
        }
    }

    /// Whether it counts against the restart intensity.
    #[must_use]
    pub const fn is_crash(&self) -> bool {
        !matches!(self, Self::Finished | Self::Shutdown | Self::Requested | Self::Elder)
    }

    /// Whether another incarnation follows.
    #[must_use]
    pub const fn restarts(&self) -> bool {
        !matches!(self, Self::Finished | Self::Shutdown)
    }
}

impl std::fmt::Display for ExitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(why) | Self::StartFailed(why) | Self::Panicked(why) => {
                write!(f, "{}: {why}", self.label())
            }
            _ => f.write_str(self.label()),
        }
    }
}

/// The words of a panic.
pub(crate) fn panic_words(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(words) = payload.downcast_ref::<&str>() {
        (*words).to_owned()
    } else if let Some(words) = payload.downcast_ref::<String>() {
        words.clone()
    } else {
        "no message".to_owned()
    }
}
