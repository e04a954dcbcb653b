//! The runtime's log, on stderr, for those who ask for it.

use tracing_subscriber::EnvFilter;

/// Start it. `filter` is `tracing`'s language; without one, `-vv` and `-vvv` decide.
pub(crate) fn start(filter: Option<&str>, verbose: u8) {
    let of_verbosity = match verbose {
        0 | 1 => None,
        2 => Some("wharf_runtime=info,connector=info"),
        3.. => Some("wharf_runtime=debug,connector=debug"),
    };
    let Some(filter) = filter.or(of_verbosity) else { return };
    // What a filter does not understand is left out, and the rest of it counts.
    let filter = EnvFilter::builder().parse_lossy(filter);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time();
    // Another log could only have been started by a test.
    let _ = log.with_ansi(false).try_init();
}
