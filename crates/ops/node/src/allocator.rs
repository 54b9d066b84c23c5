//! How the C library's allocator is set for a node.
//!
//! - **Decides**: how many arenas there are.
//! - **On failure**: none; where the C library is not glibc nothing is set, and the node takes the memory that it takes there.

/// A body arrives in one thread, is decoded in a second and written in a third. With an arena for each of them (glibc's own choice) what one has freed is of no
/// use to the others: the sync of 100,000 blocks of transfers grew to 538 MB, of which less than half was in use. Two cost empty blocks some percent of their rate, one a sixth;
/// with four it is above 256 MB. See `docs/performance.md`.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Lets all threads share two arenas. Call it first in `main`, before there are other threads.
///
/// What the environment says (`MALLOC_ARENA_MAX`) holds, as for any program.
pub fn share_arenas() {
    #[cfg(target_env = "gnu")]
    set_arenas();
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no other way to set this from inside")]
fn set_arenas() {
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        // SAFETY: it takes two integers, keeps no pointer, and takes the allocator's own lock. A value that it does not like changes nothing.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
    }
}
