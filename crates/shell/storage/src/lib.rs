//! Blocks, certificates, state and the signing record on disk, committed atomically.
