//! Logs: `RUST_LOG` says how much, `LOG_FORMAT=json` in which form. They go to standard error.

use tracing_subscriber::EnvFilter;

/// At trace level these say a request's whole path, and a path may be a one-time link. They have nothing else to say.
const QUIET: [&str; 1] = ["tower_http::csrf=warn"];

/// The filter that `RUST_LOG` asks for, less what must not be said at all. `default_filter` is for when it is unset.
pub fn filter(default_filter: &str) -> EnvFilter {
    let asked = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let quieter = QUIET.iter().filter_map(|directive| directive.parse().ok());
    quieter.fold(asked, EnvFilter::add_directive)
}

/// Starts logging. `default_filter` is the filter when `RUST_LOG` is unset.
pub fn start(default_filter: &str) {
    let filter = filter(default_filter);
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
