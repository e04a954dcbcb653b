//! Where a component keeps its manifest: a custom section at its top level, behind everything else,
//! so that it is read without running or compiling anything and is covered by the same signature.

use std::borrow::Cow;

use wasm_encoder::{Component, CustomSection, RawSection};
use wasmparser::{Encoding, Parser, Payload};

/// The section's name.
pub const NAME: &str = "wharf:manifest";
/// Largest component that is read, in bytes: the shipped ones have under 1 MiB, one that carries a
/// JavaScript or Python engine has 10 to 40.
pub const COMPONENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a file has no readable manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than [`COMPONENT_BYTES_MAX`].
    #[error("the component is larger than {COMPONENT_BYTES_MAX} bytes")]
    TooLarge,
    /// Not a component at all.
    #[error("the file is not a WebAssembly component")]
    NotComponent,
    /// A component, but cut or corrupted.
    #[error("the component is damaged: {0}")]
    Damaged(#[from] wasmparser::BinaryReaderError),
    /// A component without a manifest.
    #[error("the component has no manifest")]
    Missing,
    /// More than one manifest, which two readers could read differently.
    #[error("the component has more than one manifest")]
    Duplicate,
    /// Something follows the manifest.
    #[error("the component goes on after its manifest")]
    NotLast,
}

/// The manifest's bytes.
///
/// # Errors
/// When the file is not a component, is damaged, or does not have exactly one manifest, at its end.
pub fn read(component: &[u8]) -> Result<&[u8], Error> {
    let mut found = None;
    let mut last = false;
    each_top_level(component, |payload| {
        if let Payload::CustomSection(section) = payload
            && section.name() == NAME
        {
            if found.is_some() {
                return Err(Error::Duplicate);
            }
            found = Some(section.data());
            last = true;
        } else if !matches!(payload, Payload::End(_)) {
            last = false;
        }
        Ok(())
    })?;
    match found {
        None => Err(Error::Missing),
        Some(_) if !last => Err(Error::NotLast),
        Some(manifest) => Ok(manifest),
    }
}

/// The component with this manifest as its last section; one that it had is replaced.
///
/// # Errors
/// When the file is not a component or is damaged.
pub fn write(component: &[u8], manifest: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Component::new();
    each_top_level(component, |payload| {
        let replaced = matches!(payload, Payload::CustomSection(section) if section.name() == NAME);
        if let Some((id, range)) = payload.as_section().filter(|_| !replaced) {
            let data = component.get(range).ok_or(Error::NotComponent)?;
            out.section(&RawSection { id, data });
        }
        Ok(())
    })?;
    let section = CustomSection { name: Cow::Borrowed(NAME), data: Cow::Borrowed(manifest) };
    out.section(&section);
    Ok(out.finish())
}

/// Visit the sections of the component itself, not of what is nested in it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser has dozens of payloads, and all others mean the same here"
)]
fn each_top_level<'a>(
    component: &'a [u8],
    mut visit: impl FnMut(&Payload<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    if component.len() > COMPONENT_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    if !component.starts_with(b"\0asm") {
        return Err(Error::NotComponent);
    }
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        match &payload {
            Payload::Version { encoding, .. } if depth == 0 && *encoding != Encoding::Component => {
                return Err(Error::NotComponent);
            }
            Payload::Version { .. } if depth == 0 => depth = 1,
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    visit(&payload)?;
                }
            }
            _ => {
                if depth == 1 {
                    visit(&payload)?;
                }
            }
        }
    }
    Ok(())
}
