//! How the C library's allocator is set for a node.
//!
//! - **Decides**: how many arenas there are, and from which size on an allocation is a mapping of its own.
//! - **On failure**: none; where the C library is not glibc nothing is set, and the node takes the memory that it takes there.

/// A body arrives in one thread, is decoded in a second and written in a third. With an arena for each of them (glibc's own choice) what one has freed is of no
/// use to the others: the sync of 100,000 blocks of transfers grew to 538 MB, of which less than half was in use. Two cost empty blocks some percent of their rate, one a sixth.
/// See `docs/performance.md`.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;
/// In bytes. It is glibc's first choice; left alone it is raised to the largest buffer that was ever freed, and large buffers then leave holes in the arenas.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 128 << 10;

/// Lets all threads share two arenas. Call it first in `main`, before there are other threads.
///
/// What the environment says (`MALLOC_ARENA_MAX`, `MALLOC_MMAP_THRESHOLD_`) holds, as for any program.
pub fn share_arenas() {
    #[cfg(target_env = "gnu")]
    {
        set("MALLOC_ARENA_MAX", libc::M_ARENA_MAX, ARENAS);
        set("MALLOC_MMAP_THRESHOLD_", libc::M_MMAP_THRESHOLD, MAPPED_FROM);
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no other way to set this from inside")]
fn set(variable: &str, option: libc::c_int, value: libc::c_int) {
    if std::env::var_os(variable).is_none() {
        // SAFETY: it takes two integers, keeps no pointer, and takes the allocator's own lock. A value that it does not like changes nothing.
        unsafe { libc::mallopt(option, value) };
    }
}
