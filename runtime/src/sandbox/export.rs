//! What a component exports, and how one of it is called.
//!
//! The generated bindings look up and type every export of an instance, whichever is called. An instance
//! here lives for one call, so only that one is looked at.

use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};
use wasmtime::{Store, format_err};

use super::bindings::ConnectorPre;
use super::bindings::exports::wharf::connector::destination::Error;
use super::host::State;

/// The interface that a connector exports, in the contract's version.
const DESTINATION: &str = "wharf:connector/destination@0.1.0";

/// A component whose imports are linked, and where its exports are.
pub(super) struct Exports {
    pre: InstancePre<State>,
    destination: ComponentExportIndex,
}

impl Exports {
    /// See that every function of the contract is there.
    ///
    /// # Errors
    /// The first that is not.
    pub(super) fn find(pre: InstancePre<State>) -> wasmtime::Result<Self> {
        let pre = ConnectorPre::new(pre)?.instance_pre().clone();
        let destination = pre.component().get_export_index(None, DESTINATION);
        let destination =
            destination.ok_or_else(|| format_err!("no exported instance named `{DESTINATION}`"))?;
        Ok(Self { pre, destination })
    }

    /// Call a function in an instance of its own.
    ///
    /// # Errors
    /// Why it cannot be called, or how it trapped.
    pub(super) async fn call<A, T>(
        &self,
        store: &mut Store<State>,
        name: &str,
        arguments: A,
    ) -> wasmtime::Result<Result<T, Error>>
    where
        A: ComponentNamedList + Lower,
        (Result<T, Error>,): ComponentNamedList + Lift + 'static,
    {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let found = instance.get_export_index(&mut *store, Some(&self.destination), name);
        let found = found.ok_or_else(|| format_err!("no exported function named `{name}`"))?;
        let function = instance.get_typed_func::<A, (Result<T, Error>,)>(&mut *store, &found)?;
        let (answer,) = function.call_async(&mut *store, arguments).await?;
        Ok(answer)
    }
}
