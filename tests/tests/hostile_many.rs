//! Many that break the rules at once, and one beside them that works. In a file of its own, since what
//! is measured is the memory of the whole process.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wasm_encoder::{
    CodeSection, Component, Function, FunctionSection, Instruction, Module, ModuleSection,
    NestedComponentSection, TypeSection,
};
use wharf_runtime::manifest::section;
use wharf_runtime::sandbox::limits::Limits;
use wharf_runtime::workers;
use wharf_tests::{ACCOUNT, Rig, Service, hostile_manifest, path};

/// What each does, over and over.
const GUESTS: [(&str, &str); 8] = [
    ("spin", "loop"),
    ("grow", "vectors"),
    ("recurse", "x"),
    ("panic", "flood"),
    ("trap", "abort"),
    ("huge", "arguments"),
    ("flood", "lines"),
    ("requests", "x"),
];
/// How long they do it.
const FOR: Duration = Duration::from_secs(6);
/// Operations that the neighbour does meanwhile, at least; on two idle cores it does fifteen hundred.
const DONE_MIN: u32 = 100;
/// The memory that each may have.
const GUEST_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What sixteen of them may cost this process beyond what it had before: their memories, and as much
/// again for their stacks, their copies at the border and their records.
const HOST_BYTES_MAX: u64 = 2 * 16 * GUEST_BYTES_MAX;

fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

#[test]
fn sixteen_at_once_keep_to_their_memory_and_their_neighbour_works() {
    // As the command has them, with the emulators on threads of their own.
    let (services, ours) = (workers::builder().build().unwrap(), workers::builder().build().unwrap());
    let bytes = usize::try_from(GUEST_BYTES_MAX).unwrap();
    let limits = Limits {
        cpu: Duration::from_millis(300),
        wall: Duration::from_secs(3),
        memory_bytes: bytes,
        ..Limits::default()
    };
    let rig = services.block_on(Rig::with(cloud::Options::default(), limits));
    ours.block_on(sixteen(&rig));
}

async fn sixteen(rig: &Rig) {
    rig.cloud.dropbox().put_file(ACCOUNT, "/backups/neighbour/there", b"x").unwrap();
    let neighbour = rig.destination(Service::Dropbox, "neighbour").await;
    let mut guests = Vec::new();
    for service in Service::ALL {
        for (component, what) in GUESTS {
            guests.push((what, Arc::new(rig.hostile(component, service).await)));
        }
    }
    neighbour.stat(&path("there")).await.unwrap();
    let quiet = resident("VmRSS:");
    let over = Arc::new(AtomicBool::new(false));
    let running: Vec<_> = guests
        .iter()
        .map(|(what, guest)| {
            let (what, guest, over) = (path(what), Arc::clone(guest), Arc::clone(&over));
            tokio::spawn(async move {
                let mut ended = 0_u32;
                while !over.load(Ordering::Relaxed) {
                    guest.stat(&what).await.map(drop).unwrap_or_default();
                    ended += 1;
                }
                ended
            })
        })
        .collect();
    let start = Instant::now();
    let mut done = 0_u32;
    while start.elapsed() < FOR {
        neighbour.stat(&path("there")).await.unwrap();
        done += 1;
    }
    over.store(true, Ordering::Relaxed);
    for running in running {
        assert!(running.await.unwrap() > 0);
    }
    let grown = resident("VmHWM:").saturating_sub(quiet);
    assert!(grown < HOST_BYTES_MAX, "{} MiB more than when it was quiet", grown >> 20);
    // How fast it is depends on who else has these cores, the emulators among them: that is a bench's.
    // A neighbour that is behind sixteen guests does two, one whose thread they do not let go of 250.
    assert!(done >= DONE_MIN, "the neighbour did {done} operations in {FOR:?}");
    for (what, guest) in &guests {
        assert_eq!(guest.threads().free(), guest.threads().limit(), "{what}");
        guest.stat(&path("fine")).await.unwrap();
    }
    assert_eq!(neighbour.threads().free(), neighbour.threads().limit());
    rig.assert_clean();
}

/// What would be compiled for minutes is refused before it is compiled at all.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_to_compile_is_refused_unread() {
    let rig = Rig::new().await;
    let module = |functions: u32, body: usize| {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut declared = FunctionSection::new();
        let mut code = CodeSection::new();
        for _ in 0..functions {
            declared.function(0);
            let mut function = Function::new([]);
            (0..body).for_each(|_| {
                function.instruction(&Instruction::Nop);
            });
            function.instruction(&Instruction::End);
            code.function(&function);
        }
        module.section(&types).section(&declared).section(&code);
        module
    };
    let nested = {
        let mut component = Component::new();
        for _ in 0..300 {
            component.section(&NestedComponentSection(&Component::new()));
        }
        component
    };
    let typed = {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        (0..60_000).for_each(|_| types.ty().function([], []));
        module.section(&types);
        module
    };
    let within = |module: Module| {
        let mut component = Component::new();
        component.section(&ModuleSection(&module));
        component
    };
    let cases = [
        ("functions", within(module(100_001, 0))),
        ("bytes in one function", within(module(1, 1024 * 1024))),
        ("parts", nested),
        ("types", within(typed)),
    ];
    let before = wharf_tests::tree(&rig.folder.path().join("home"));
    for (what, component) in cases {
        let manifest = hostile_manifest("spin", Service::Dropbox, |_| {});
        let bytes = section::write(&component.finish(), manifest.as_bytes()).unwrap();
        let start = Instant::now();
        let error = rig.host.install_unsigned(&bytes).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("a connector may have"), "{what}: {error}");
        assert!(start.elapsed() < Duration::from_secs(5), "{what} took {:?}", start.elapsed());
    }
    assert!(before == wharf_tests::tree(&rig.folder.path().join("home")), "something is left in the home");
}
