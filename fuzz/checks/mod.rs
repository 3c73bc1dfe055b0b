//! What must hold whatever comes in: the bodies of the fuzz targets. `tests/all/fuzz.rs` runs them over the corpus.
//!
//! Each takes any bytes, and panics when something does not hold.

pub(crate) mod callback;
pub(crate) mod console_toml;
pub(crate) mod log;
mod request;
mod scene;
mod token;
pub(crate) mod webhook;
