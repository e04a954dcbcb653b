//! What `wit-bindgen` makes of `wit/connector.wit`. The rest of the kit gives its names a home; on
//! targets other than WebAssembly the types are real and the imports cannot be called.

wit_bindgen::generate!({
    world: "connector",
    path: "../../wit",
    pub_export_macro: true,
    // What holds a resource cannot be compared.
    additional_derives: [PartialEq],
    additional_derives_ignore: ["section", "payload", "request", "download", "opened"],
});
