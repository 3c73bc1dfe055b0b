//! Logs: `RUST_LOG` says how much, `LOG_FORMAT=json` in which form. They go to standard error.

use tracing_subscriber::EnvFilter;

/// Starts logging. `quiet` is the filter when `RUST_LOG` is unset.
pub fn start(default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start (in tests) keeps the first subscriber.
    let _already_started = if std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}
