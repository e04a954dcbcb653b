//! The sandbox: where connectors run. The only place that knows wasmtime.
//!
//! A connector is compiled once, when it is installed; afterwards its artefact is loaded, and only
//! from bytes that somebody vouches for ([`Artefact`]). One operation is one call in a store and an
//! instance of its own: five microseconds buy that a guest that hangs, traps or leaks can neither
//! slow nor touch its neighbours. What the operations are is in [`operation`].

mod answer;
mod bindings;
mod clock;
mod export;
mod folder;
mod host;
mod imports;
mod lane;
pub mod limits;
mod meter;
pub mod operation;
mod output;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use export::Exports;
use host::State;
use lane::Credit;
use limits::Limits;

use crate::figures::Counting;
use crate::manifest::{self, Manifest};
use crate::registry::{Artefact, Digest};

pub use meter::Overdrawn;

/// Why a component cannot be installed or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest cannot be read from the component.
    #[error(transparent)]
    Section(#[from] manifest::section::Error),
    /// The manifest does not hold together.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// It wants something that no connector gets.
    #[error("the component imports `{0}`, which no connector may have")]
    Import(String),
    /// It wants a directory of this machine, and its manifest does not say so.
    #[error("the component imports `{0}`, which its manifest does not ask for")]
    Unasked(String),
    /// Compiling it would take longer, or more memory, than a connector is worth.
    #[error("the component has {found} {what}; a connector may have {most}")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// How much there is, as far as it was read.
        found: u64,
        /// How much there may be.
        most: u64,
    },
    /// It does not implement the contract.
    #[error("the component does not implement `{world}`: {reason}", world = manifest::WORLD)]
    Contract {
        /// What differs.
        reason: String,
    },
    /// It is not valid WebAssembly, or too large for a bound of the engine.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// The engine itself cannot be set up.
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Engine(String),
}

/// Code that was compiled here, by this engine.
///
/// Loading code is running it: there is no way to run any but this and an [`Artefact`], whose
/// seal somebody verified.
pub struct Compiled(Vec<u8>);

impl Compiled {
    /// The code, to be stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Compiled({} bytes)", self.0.len())
    }
}

/// The engine that all connectors of a process share.
#[derive(Debug)]
pub struct Sandbox {
    engine: Engine,
    stop: Arc<AtomicBool>,
}

impl Sandbox {
    /// Set up the engine and its clock, for guests with stacks of this many bytes.
    ///
    /// # Errors
    /// When this machine cannot run it (no memory to reserve, no thread to start).
    pub fn new(stack_bytes: usize) -> Result<Self, Error> {
        let engine =
            Engine::new(&config(stack_bytes)).map_err(|error| Error::Engine(format!("{error:#}")))?;
        let stop = Arc::new(AtomicBool::new(false));
        tick(&engine, Arc::clone(&stop)).map_err(|error| Error::Engine(error.to_string()))?;
        Ok(Self { engine, stop })
    }

    /// What an artefact must have been compiled for to run here.
    #[must_use]
    pub fn compatibility(&self) -> [u8; 8] {
        use std::hash::{Hash as _, Hasher as _};
        // Not for secrecy: the artefact's seal covers this number, and the seal is keyed.
        let mut hasher = std::hash::DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish().to_le_bytes()
    }

    /// Read and check what a component says of itself, without compiling or running it.
    ///
    /// # Errors
    /// When it is not a component, is damaged, has no sound manifest, or imports what it may not.
    pub fn inspect(component: &[u8]) -> Result<Manifest, Error> {
        let manifest = Manifest::parse(manifest::section::read(component)?)?;
        imports::check(component, &manifest)?;
        Ok(manifest)
    }

    /// The interfaces that a component imports, if it is sound.
    #[must_use]
    pub fn imports(component: &[u8]) -> Vec<String> {
        imports::names(component)
    }

    /// Compile a component, and see that it implements the contract.
    ///
    /// # Errors
    /// When it is not valid, imports what it may not, or does not implement the contract.
    pub fn compile(&self, component: &[u8]) -> Result<Compiled, Error> {
        Self::inspect(component)?;
        let code = self
            .engine
            .precompile_component(component)
            .map_err(|error| Error::Compile(format!("{error:#}")))?;
        self.prepare(&code)?;
        Ok(Compiled(code))
    }

    /// Make a connector ready to be called; what it costs is counted under its component's digest.
    ///
    /// # Errors
    /// When the artefact is of another engine, or does not implement the contract.
    pub fn load(
        &self,
        artefact: &Artefact,
        manifest: Arc<Manifest>,
        limits: Limits,
        digest: &Digest,
    ) -> Result<Connector, Error> {
        self.connector(artefact.bytes(), manifest, limits, digest)
    }

    /// As [`load`](Self::load), with what was just compiled.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_compiled(
        &self,
        code: &Compiled,
        manifest: Arc<Manifest>,
        limits: Limits,
        digest: &Digest,
    ) -> Result<Connector, Error> {
        self.connector(code.bytes(), manifest, limits, digest)
    }

    fn connector(
        &self,
        code: &[u8],
        manifest: Arc<Manifest>,
        limits: Limits,
        digest: &Digest,
    ) -> Result<Connector, Error> {
        let exports = Arc::new(self.prepare(code)?);
        let counting = Counting::new(digest.clone());
        let credit = Arc::default();
        Ok(Connector { engine: self.engine.clone(), exports, manifest, limits, counting, credit })
    }

    fn prepare(&self, code: &[u8]) -> Result<Exports, Error> {
        #[expect(unsafe_code, reason = "the code was compiled here, or its seal was verified")]
        // SAFETY: this is called with the bytes of a `Compiled`, which only `compile` makes from this
        // engine's own output, or of an `Artefact`, which the registry only makes from a buffer whose
        // keyed seal it has just verified; it is this buffer that is read.
        let component = unsafe { Component::deserialize(&self.engine, code) };
        let component = component.map_err(|error| Error::Compile(format!("{error:#}")))?;
        let linker = self.linker().map_err(|error| Error::Engine(format!("{error:#}")))?;
        let contract = |error: wasmtime::Error| Error::Contract { reason: format!("{error:#}") };
        let pre = linker.instantiate_pre(&component).map_err(contract)?;
        Exports::find(pre).map_err(contract)
    }

    fn linker(&self) -> wasmtime::Result<Linker<State>> {
        let mut linker = Linker::new(&self.engine);
        bindings::Connector::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        imports::link_wasi(&mut linker)?;
        Ok(linker)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn config(stack_bytes: usize) -> Config {
    let most = Limits::ceilings();
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits::OPERATIONS_MAX)
        .total_core_instances(limits::OPERATIONS_MAX.saturating_mul(4))
        .total_memories(limits::OPERATIONS_MAX)
        .total_tables(limits::OPERATIONS_MAX.saturating_mul(4))
        .total_stacks(limits::OPERATIONS_MAX)
        .max_memory_size(most.memory_bytes)
        .table_elements(most.table_elements)
        // What a warm slot keeps resident, so that a transfer's next operation does not fault it in
        // again. Where the kernel can tell which pages a guest touched (Linux 6.7), only those are
        // reset; elsewhere all of it is, which is why it is not more.
        .linear_memory_keep_resident(512 * 1024)
        .pagemap_scan(Enabled::Auto)
        .async_stack_keep_resident(64 * 1024)
        .table_keep_resident(64 * 1024)
        .max_unused_warm_slots(16);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(stack_bytes)
        .async_stack_size(limits::ASYNC_STACK_BYTES)
        // A slot reserves what a memory can grow to and a guard: bounds checks cost nothing then.
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_guard_size(MEMORY_RESERVATION_BYTES)
        .wasm_component_model(true);
    config
}

/// Address space of one memory slot: the whole range of a 32-bit pointer, which needs no checks.
const MEMORY_RESERVATION_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Interrupt running guests now and then, as long as the engine lives.
fn tick(engine: &Engine, stop: Arc<AtomicBool>) -> std::io::Result<()> {
    let weak = engine.weak();
    let thread = std::thread::Builder::new().name("epoch".to_owned());
    thread.spawn(move || {
        while !stop.load(Ordering::Relaxed)
            && let Some(engine) = weak.upgrade()
        {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(limits::TICK);
        }
    })?;
    Ok(())
}

/// A connector that is ready to be called, from any number of threads.
#[derive(Clone)]
pub struct Connector {
    engine: Engine,
    exports: Arc<Exports>,
    manifest: Arc<Manifest>,
    limits: Limits,
    counting: Counting,
    credit: Arc<Credit>,
}

impl Connector {
    /// What it says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// What it has cost.
    pub(crate) const fn counting(&self) -> &Counting {
        &self.counting
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Connector({})", self.manifest.label())
    }
}
