//! Every target, for a few seconds: its seeds as they are, then changed. The same inputs in the same order
//! each time, as far as the time allows; an input that makes a target panic is printed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "seeds that cannot be read are a failure, and what was tried is told to whoever reads the test"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fuzz::mutate::{Dice, mutate};
use fuzz::{TARGETS, Target};

/// Time for one target: all of them take 40 seconds on one core.
const TIME: Duration = Duration::from_secs(3);
/// Inputs that must have been tried, seeds included; a target that is slower than that is of no use.
const INPUTS_MIN: usize = 100;

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(own.join("seeds").join(name))
        .unwrap_or_else(|error| panic!("{name} has no seeds: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    if name == "manifest" {
        paths.extend(
            ["onedrive", "dropbox", "local"]
                .map(|kind| own.join("../connectors").join(kind).join("manifest.json")),
        );
    }
    assert!(!paths.is_empty(), "{name} has no seeds");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn run(target: Target, input: &[u8]) {
    if let Err(panicked) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        eprintln!("to keep it, write it into `fuzz/seeds/{}`:\n{}", target.name, input.escape_ascii());
        std::panic::resume_unwind(panicked);
    }
}

fn short(name: &str) {
    let target = TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let seeds = seeds(name);
    for seed in &seeds {
        run(target, seed);
    }
    let (started, mut dice, mut inputs) = (Instant::now(), Dice::new(1), seeds.len());
    while started.elapsed() < TIME {
        run(target, &mutate(&seeds, &mut dice));
        inputs += 1;
    }
    println!("{name}: {inputs} inputs");
    assert!(inputs >= INPUTS_MIN, "{name}: {inputs} inputs in {TIME:?}");
}

macro_rules! targets {
    ($($function:ident $name:literal)*) => {
        $(#[test]
        fn $function() {
            short($name);
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$($name),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(run), "{run:?}");
        }
    };
}

targets! {
    manifest "manifest"
    component "component"
    destination "destination"
    bundle "bundle"
    image "image"
    revocation "revocation"
    rclone "rclone"
    address "address"
    retry_after "retry-after"
    token "token"
    registry "registry"
    onedrive "onedrive"
    dropbox "dropbox"
}

/// A target that finds nothing wrong with anything is none.
#[test]
fn a_fault_is_found() {
    fn faulty(bytes: &[u8]) {
        assert!(!bytes.contains(&b'%'), "a percent sign");
    }
    let mut dice = Dice::new(1);
    let seeds = vec![b"plain".to_vec()];
    let found = (0..10_000).any(|_| {
        let input = mutate(&seeds, &mut dice);
        catch_unwind(AssertUnwindSafe(|| faulty(&input))).is_err()
    });
    assert!(found);
}
