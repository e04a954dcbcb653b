//! A fresh store for one operation, with every limit in force.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wasi::WasiCtxBuilder;

use super::clock::{Monotonic, Wall};
use super::host::{FUEL, State};
use super::limits::{self, Limits};
use super::meter::Meter;
use super::output::{LogBudget, Output};
use crate::broker::Call;
use crate::figures::Counting;

/// Bounds what an instance allocates: all its memories together, all its tables together.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_max: usize,
    memory: usize,
    elements: usize,
    /// The most memory it had, in bytes.
    peak: usize,
    /// Was something refused? Then a trap that follows is explained by it.
    pub(super) refused: bool,
    counting: Counting,
}

impl Limiter {
    const fn new(memory_max: usize, counting: Counting) -> Self {
        Self { memory_max, memory: 0, elements: 0, peak: 0, refused: false, counting }
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.counting.memory(self.peak);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_sub(current).saturating_add(desired);
        if wanted > self.memory_max {
            self.refused = true;
            return Ok(false);
        }
        self.memory = wanted;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.elements.saturating_sub(current).saturating_add(desired);
        if wanted > limits::TABLE_ELEMENTS_MAX {
            self.refused = true;
            return Ok(false);
        }
        self.elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        limits::INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        limits::MEMORIES_MAX
    }

    fn memories(&self) -> usize {
        limits::MEMORIES_MAX
    }
}

/// A store that can reach this call and nothing else.
pub(super) fn fresh(
    engine: &wasmtime::Engine,
    limits: Limits,
    call: Arc<Call>,
    counting: &Counting,
) -> Store<State> {
    counting.instance();
    let log = LogBudget::default();
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(Output(log.clone())).stderr(Output(log.clone()));
    wasi.max_random_size(limits::RANDOM_BYTES_MAX);
    wasi.monotonic_clock(Monotonic::new()).wall_clock(Wall);
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits::HANDLES_MAX);
    let limiter = Limiter::new(limits.memory_bytes, counting.clone());
    let state = State {
        wasi: wasi.build(),
        table,
        limiter,
        meter: Arc::new(Meter::new(counting.clone())),
        call,
        log,
        look_left: limits::LOOK_BYTES_FREE,
        open_bodies: 0,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(FUEL);
    store.set_max_component_handles(limits::HANDLES_MAX);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store
}
