//! What a component may import: the contract, and the parts of WASI that a standard library drags in.
//!
//! Those parts are linked to nothing: no file, no variable, no argument, no terminal. Everything else
//! is refused by name before the component is compiled.

use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload};
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::random::WasiRandom;

use super::Error;
use super::host::State;
use crate::manifest::{Manifest, section};

/// Interfaces of the contract.
const CONTRACT: &[&str] = &["content", "broker", "settings", "log"];
/// The interface of the contract that a manifest must ask for.
const FOLDER: &str = "wharf:connector/folder@0.1.0";
/// Packages of WASI that are linked to nothing.
const WASI: &[&str] = &["wasi:cli/", "wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/"];

/// Functions of all modules of a component: an interpreter of a scripting language has some 30,000.
const FUNCTIONS_MAX: u32 = 100_000;
/// Bytes of one function: compiling takes more than proportionally longer for a large one, and the
/// main loop of an interpreter has some 200 KiB.
const FUNCTION_BYTES_MAX: u64 = 1024 * 1024;
/// Modules and components within a component: what toolchains put together has some twenty.
const PARTS_MAX: u32 = 256;
/// Types of all of them.
const TYPES_MAX: u32 = 50_000;

/// Does the component import only what it may, as far as its manifest asks for it?
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser has dozens of payloads, and all others mean the same here"
)]
pub(super) fn check(component: &[u8], manifest: &Manifest) -> Result<(), Error> {
    if component.len() > section::COMPONENT_BYTES_MAX {
        return Err(section::Error::TooLarge.into());
    }
    let mut depth = 0_usize;
    let (mut functions, mut nested, mut kinds) = (0_u32, 0_u32, 0_u32);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(section::Error::Damaged)? {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding != Encoding::Component {
                    return Err(section::Error::NotComponent.into());
                }
                depth = depth.saturating_add(1);
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CodeSectionStart { count, .. } => {
                functions = functions.saturating_add(count);
                bounded("functions", u64::from(functions), u64::from(FUNCTIONS_MAX))?;
            }
            Payload::CodeSectionEntry(body) => {
                let bytes = u64::try_from(body.range().len()).unwrap_or(u64::MAX);
                bounded("bytes in one function", bytes, FUNCTION_BYTES_MAX)?;
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                nested = nested.saturating_add(1);
                bounded("parts", u64::from(nested), u64::from(PARTS_MAX))?;
            }
            Payload::TypeSection(types) => {
                kinds = kinds.saturating_add(types.count());
                bounded("types", u64::from(kinds), u64::from(TYPES_MAX))?;
            }
            Payload::ComponentTypeSection(types) => {
                kinds = kinds.saturating_add(types.count());
                bounded("types", u64::from(kinds), u64::from(TYPES_MAX))?;
            }
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    let import = import.map_err(section::Error::Damaged)?;
                    let instance = matches!(import.ty, ComponentTypeRef::Instance(_));
                    if instance && import.name.name == FOLDER {
                        if manifest.folder.is_none() {
                            return Err(Error::Unasked(FOLDER.to_owned()));
                        }
                        continue;
                    }
                    if !instance || !is_permitted(import.name.name) {
                        return Err(Error::Import(import.name.name.escape_default().to_string()));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The interfaces that a sound component imports, in its order.
pub(super) fn names(component: &[u8]) -> Vec<String> {
    let mut depth = 0_usize;
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        if let Payload::Version { .. } = payload {
            depth = depth.saturating_add(1);
        } else if let Payload::End(_) = payload {
            depth = depth.saturating_sub(1);
        } else if let Payload::ComponentImportSection(imports) = payload
            && depth == 1
        {
            names.extend(imports.into_iter().map_while(Result::ok).map(|import| import.name.name.to_owned()));
        }
    }
    names
}

/// Compiling takes time and memory for what is in a component: that has a bound before it begins.
const fn bounded(what: &'static str, found: u64, most: u64) -> Result<(), Error> {
    if found > most { Err(Error::TooComplex { what, found, most }) } else { Ok(()) }
}

fn is_permitted(name: &str) -> bool {
    let contract = name.strip_prefix("wharf:connector/").and_then(|name| name.strip_suffix("@0.1.0"));
    contract
        .map_or_else(|| WASI.iter().any(|package| name.starts_with(package)), |name| CONTRACT.contains(&name))
}

/// Link those parts of WASI to the operation's empty context.
pub(super) fn link_wasi(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime_wasi_io::bindings::wasi::io;
    let l = linker;
    io::error::add_to_linker::<State, Io>(l, |state| &mut state.table)?;
    io::poll::add_to_linker::<State, Io>(l, |state| &mut state.table)?;
    io::streams::add_to_linker::<State, Io>(l, |state| &mut state.table)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    random::random::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    Ok(())
}

/// The resource table behind `wasi:io`.
struct Io;

impl wasmtime::component::HasData for Io {
    type Data<'a> = &'a mut wasmtime::component::ResourceTable;
}
