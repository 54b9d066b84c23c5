//! The flight recorder of an incarnation that crashed, as a file that outlives it.
//!
//! - **Owns**: whether the incarnation was told to stop. One that ends otherwise leaves what it would have explained, as JSON; the file of an earlier
//!   crash is replaced.
//! - **In**: the end of the incarnation. **Out**: a file.
//! - **On failure**: a line in the log; nothing else can be done for a dead incarnation.

use super::actor::SyncActor;

impl SyncActor {
    fn leave_recorder(&self) {
        let Some(path) = &self.parts.flight_recorder else { return };
        let explain = self.machine.explain(self.now());
        // Some 100 KB, once a crash: short enough for where this runs.
        let written = serde_json::to_vec(&explain).map_err(std::io::Error::other);
        match written.and_then(|bytes| std::fs::write(path, bytes)) {
            Ok(()) => tracing::warn!(path = %path.display(), "sync crashed: its flight recorder is kept"),
            Err(why) => {
                tracing::warn!(path = %path.display(), %why, "the flight recorder of a crash was lost")
            }
        }
    }
}

impl Drop for SyncActor {
    fn drop(&mut self) {
        if !self.is_stopped {
            self.leave_recorder();
        }
    }
}
