//! What `wit/connector.wit` becomes in Rust. Generated; nothing else lives here.
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    unreachable_pub,
    reason = "generated; the contract has the documentation"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "connector",
    imports: {
        "wharf:connector/content.[method]content.read": async | trappable,
        "wharf:connector/content.[method]content.hash": async | trappable,
        "wharf:connector/broker.exchange": async | trappable,
        "wharf:connector/broker.fetch": async | trappable,
        "wharf:connector/folder.stat": async | trappable,
        "wharf:connector/folder.list": async | trappable,
        "wharf:connector/folder.make-folder": async | trappable,
        "wharf:connector/folder.read": async | trappable,
        "wharf:connector/folder.write": async | trappable,
        "wharf:connector/folder.remove": async | trappable,
        "wharf:connector/folder.rename": async | trappable,
        "wharf:connector/folder.usage": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "wharf:connector/content.content": super::host::Content,
        "wharf:connector/content.body": super::host::Body,
    },
    require_store_data_send: true,
});
