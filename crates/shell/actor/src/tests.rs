//! Stories about the kernel, in virtual time.

mod context;
mod kit;
mod mailbox;
mod restart;
mod stop;
mod survival;
