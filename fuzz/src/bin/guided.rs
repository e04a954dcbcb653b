//! One target under libFuzzer, which is guided by coverage. `cargo xtask fuzz` builds and runs it.
#![no_main]
#![allow(
    unsafe_code,
    missing_docs,
    clippy::panic,
    reason = "the engine's entry points are written by its macro, and a panic is what it looks for"
)]

use std::sync::LazyLock;

/// Which, by the variable that the command sets.
static TARGET: LazyLock<fuzz::Target> = LazyLock::new(|| {
    let wanted = std::env::var_os("WHARF_FUZZ_TARGET").unwrap_or_default();
    let found = fuzz::TARGETS.into_iter().find(|target| wanted == target.name);
    found.unwrap_or_else(|| panic!("WHARF_FUZZ_TARGET names no target; run `cargo xtask fuzz`"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
