//! The guest's side of the connector contract (`wit/connector.wit`).
//!
//! A connector implements [`Connector`] for every [`Broker`], hands itself to [`component!`], and is
//! done: under WebAssembly the broker is the host, natively it is a script in a test
//! ([`testing`], with the feature of that name), so its logic is tested in milliseconds. Besides that,
//! the kit holds what every connector would otherwise write again: paths, names, times, hashes, and what
//! to conclude about a write whose reply was lost.
//!
//! It decides nothing about a service, and it cannot send anything but what [`Request`] can say.

#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::as_conversions,
    clippy::use_self,
    clippy::allow_attributes_without_reason,
    reason = "written by wit-bindgen, and read by nobody"
)]
#[doc(hidden)]
pub mod bindings;
mod broker;
mod connector;
mod failure;
pub mod folder;
pub mod hash;
#[cfg(target_family = "wasm")]
mod host;
pub mod name;
pub mod outcome;
pub mod path;
pub mod range;
mod reply;
mod request;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;

pub use bindings::exports::wharf::connector::destination::{
    Change, ChangesPage, Datetime, Entry, Error, Facts, Info, Kind, Mode, Node, Outcome, Page, Progress,
    Relocation, Removal, Space, Staged, Upload, Whereabouts,
};
pub use bindings::wharf::connector::broker::{Failure, Replay, Reply};
pub use bindings::wharf::connector::content::{Algorithm, Hash};
pub use bindings::wharf::connector::log::Level;
pub use bindings::wharf::connector::settings::Settings;
pub use broker::Broker;
pub use connector::{Connector, Download};
pub use folder::Folder;
#[cfg(target_family = "wasm")]
pub use host::{Component, Host};
pub use request::{Payload, Request};

/// Make a [`Connector`] the exports of a component. Natively it makes nothing, because the names of
/// a component's exports do not link there.
#[macro_export]
macro_rules! component {
    ($connector:ty) => {
        #[cfg(target_family = "wasm")]
        mod component {
            type Exports = $crate::Component<$connector>;
            $crate::bindings::export!(Exports with_types_in $crate::bindings);
        }
    };
}
