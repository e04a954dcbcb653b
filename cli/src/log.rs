//! The runtime's log, on stderr, for those who ask for it.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::args::LogFormat;

/// Start it. `filter` is `tracing`'s language; without one, `-vv` and `-vvv` decide.
pub(crate) fn start(filter: Option<&str>, format: LogFormat, verbose: u8) {
    let of_verbosity = match verbose {
        0 | 1 => None,
        2 => Some("wharf_runtime=info,connector=info"),
        3.. => Some("wharf_runtime=debug,connector=debug"),
    };
    let Some(filter) = filter.or(of_verbosity) else { return };
    // What a filter does not understand is left out, and the rest of it counts.
    let filter = EnvFilter::builder().parse_lossy(filter);
    // A transfer, an operation and an attempt are each told when they end, with the time that they took.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(false).with_span_events(FmtSpan::CLOSE);
    // Another log could only have been started by a test.
    let _ = match format {
        LogFormat::Text => log.without_time().try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
