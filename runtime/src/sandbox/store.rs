//! A fresh store for one operation, with every limit in force.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wasi::WasiCtxBuilder;

use super::clock::{Monotonic, Wall};
use super::host::{FUEL, State};
use super::limits::{INSTANCES_MAX, LOOK_BYTES_FREE, Limits, MEMORIES_MAX, RANDOM_BYTES_MAX};
use super::meter::Meter;
use super::operation::{MEMORY_REFUSED, TABLES_REFUSED};
use super::output::{LogBudget, Output};
use crate::broker::Call;
use crate::figures::Counting;

/// Bounds what an instance allocates: all its memories together, all its tables together.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_max: usize,
    memory: usize,
    elements: usize,
    elements_max: usize,
    /// The most memory it had, in bytes.
    peak: usize,
    /// What was refused: a trap that follows is explained by it.
    pub(super) refused: Option<&'static str>,
    counting: Counting,
}

impl Limiter {
    const fn new(limits: Limits, counting: Counting) -> Self {
        let (memory_max, elements_max) = (limits.memory_bytes, limits.table_elements);
        Self { memory_max, memory: 0, elements: 0, elements_max, peak: 0, refused: None, counting }
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
            self.refused = Some(MEMORY_REFUSED);
            return Ok(false);
        }
        self.memory = wanted;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.elements.saturating_sub(current).saturating_add(desired);
        if wanted > self.elements_max {
            self.refused = Some(TABLES_REFUSED);
            return Ok(false);
        }
        self.elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        MEMORIES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
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
    let log = LogBudget::new(limits.log_bytes);
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(Output(log.clone())).stderr(Output(log.clone()));
    wasi.max_random_size(RANDOM_BYTES_MAX);
    wasi.monotonic_clock(Monotonic::new()).wall_clock(Wall);
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles);
    let limiter = Limiter::new(limits, counting.clone());
    let state = State {
        wasi: wasi.build(),
        table,
        limiter,
        meter: Arc::new(Meter::new(counting.clone())),
        call,
        log,
        look_left: LOOK_BYTES_FREE,
        reply_bytes: limits.reply_bytes,
        open_bodies: 0,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(FUEL);
    store.set_max_component_handles(limits.handles);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store
}
