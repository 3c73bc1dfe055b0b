//! Who may come in: passwords, sessions, API tokens, and the people themselves.
//!
//! A request's [`crate::domain::Caller`] is found in `router/guard.rs`; what a caller may do is asked where it
//! is done. Whatever opens a door is random, shown once, and kept as its SHA-256 alone.

pub mod address;
pub mod opaque;
pub mod password;
pub mod people;
pub mod provider;
pub mod session;
pub mod sign_in;
pub mod token;
