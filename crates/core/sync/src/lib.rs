//! How to catch up: skeleton, bodies, verify, import.
#![forbid(unsafe_code)]
