//! The seeded world: simulated transport, virtual time, faults, invariants.
