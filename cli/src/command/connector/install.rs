//! How a connector gets in: from a file, a folder of several, a registry, or offered to whoever needs one.
//!
//! Everything is examined before anything is installed; what an operator is asked about is what is then
//! installed, byte for byte, because it stays in memory in between.

use std::fs;
use std::path::{Path, PathBuf};

use wharf_runtime::destination::ConnectorReference;
use wharf_runtime::home::AVAILABLE_FOLDER;
use wharf_runtime::host::{self, Candidate, Host};
use wharf_runtime::manifest::Manifest;
use wharf_runtime::manifest::section::COMPONENT_BYTES_MAX;
use wharf_runtime::registry::{Direction, Installed};
use wharf_runtime::trust::{BUNDLE_BYTES_MAX, BUNDLE_SUFFIX};

use super::registry::{self, Got};
use super::{InstalledJson, reference, signature};
use crate::args::{Access, ConnectorInstall, ConnectorUpdate, Proof};
use crate::ask::{self, Unattended};
use crate::command::Desk;
use crate::exit::Exit;
use crate::file;
use crate::output::Tone;
use crate::report::Failure;
use crate::sentence::{self, Detail};

/// Most components in a folder: each is read and verified, some milliseconds and megabytes each.
const FOLDER_COMPONENTS_MAX: usize = 64;

/// What may be installed, in memory, and what may vouch for it; nothing where nothing is looked for.
struct Found {
    /// Where it is from, as messages name it.
    place: String,
    what: What,
}

enum What {
    /// A file's bytes, and those of its bundle.
    Files { component: Vec<u8>, bundle: Option<Vec<u8>> },
    /// What a registry gave.
    Registry(Box<Got>),
}

impl Found {
    /// Read both. Where a signature is wanted and there is none, that is the error.
    fn read(desk: Desk<'_>, path: &Path, proof: &Proof, access: &Access) -> Result<Self, Failure> {
        if let Some(reference) = registry::named(path)? {
            let place = reference.to_string();
            // Before anybody is asked: without trust nothing that comes would count.
            check_home(desk, proof).map_err(|failure| refused(&place, failure))?;
            let got = registry::get(desk, &reference, access, proof);
            let what = What::Registry(Box::new(got.map_err(|failure| refused(&place, failure))?));
            return Ok(Self { place, what });
        }
        let place = path.display().to_string();
        let component = file::read(path, COMPONENT_BYTES_MAX)?;
        let bundle = match &proof.bundle {
            _ if proof.allow_unsigned => None,
            Some(bundle) => Some(read_bundle(bundle)?),
            None => {
                let beside = file::suffixed(path, BUNDLE_SUFFIX);
                if !beside.exists() {
                    return Err(refused(&place, host::Error::Unsigned.into()));
                }
                Some(read_bundle(&beside)?)
            }
        };
        check_home(desk, proof).map_err(|failure| refused(&place, failure))?;
        Ok(Self { place, what: What::Files { component, bundle } })
    }

    fn examine(&self, desk: Desk<'_>) -> Result<Candidate<'_>, Failure> {
        let examined = match &self.what {
            What::Files { component, bundle: Some(bundle) } => desk.host()?.examine(component, bundle),
            What::Files { component, bundle: None } => Candidate::unsigned(component),
            What::Registry(got) => {
                let candidate = match &got.bundles {
                    Some(bundles) => desk.host()?.examine_pulled(&got.pulled, bundles),
                    None => Candidate::unsigned(&got.pulled.component),
                };
                candidate.and_then(|candidate| candidate.from_registry(&got.pulled, got.in_the_clear))
            }
        };
        examined.map_err(|error| refused(&self.place, error.into()))
    }
}

/// No signature counts where nobody is trusted.
fn check_home(desk: Desk<'_>, proof: &Proof) -> Result<(), Failure> {
    if proof.allow_unsigned || desk.home_path()?.exists() {
        return Ok(());
    }
    let failure = Failure::new(Exit::Denied, "nobody is trusted yet, so no signature counts");
    Err(failure.with_hint("run `wharf trust add NAME --key FILE --id-prefix PREFIX` first"))
}

pub(super) fn read_bundle(path: &Path) -> Result<Vec<u8>, Failure> {
    file::read(path, usize::try_from(BUNDLE_BYTES_MAX).unwrap_or(usize::MAX))
}

fn refused(place: &str, failure: Failure) -> Failure {
    failure.with_context(format!("`{place}` cannot be installed"))
}

const fn direction(proof: &Proof) -> Direction {
    if proof.allow_downgrade { Direction::Any } else { Direction::Forward }
}

pub(super) fn install(desk: Desk<'_>, install: &ConnectorInstall) -> Result<(), Failure> {
    let paths = match registry::named(&install.component)? {
        Some(_) => vec![install.component.clone()],
        None => components(&install.component)?,
    };
    if paths.len() > 1 && install.proof.bundle.is_some() {
        return Err(Failure::new(Exit::Usage, "`--bundle` is of one component, and the folder has several")
            .with_hint("leave it out: each has its bundle beside it, or install one by one"));
    }
    let several = paths.len() > 1;
    for path in paths.iter().filter(|_| several) {
        // All are good, or none is installed.
        Found::read(desk, path, &install.proof, &install.access)?.examine(desk)?;
    }
    for path in &paths {
        let found = Found::read(desk, path, &install.proof, &install.access)?;
        let candidate = found.examine(desk)?;
        explain(desk, &candidate, None);
        let question = format!("Install `{}`?", candidate.manifest().label());
        ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
        put(desk, &found.place, &candidate, direction(&install.proof))?;
    }
    Ok(())
}

pub(super) fn update(desk: Desk<'_>, update: &ConnectorUpdate) -> Result<(), Failure> {
    let host = desk.host()?;
    let (before, manifest) = host.manifest(&reference(&update.connector)?)?;
    let found = Found::read(desk, &update.component, &update.proof, &update.access)?;
    let candidate = found.examine(desk)?;
    if candidate.manifest().id != before.id {
        let (other, place) = (candidate.manifest().label(), &found.place);
        let message = format!("`{place}` is `{other}`, and not a version of `{}`", before.id);
        return Err(Failure::new(Exit::Usage, message)
            .with_hint("`wharf connector install FILE` installs another connector beside it"));
    }
    if *candidate.ticket().digest() == before.digest {
        desk.output.note(format_args!("connector `{}@{}` is installed already", before.id, before.version));
        return Ok(());
    }
    explain(desk, &candidate, Some((&before, &manifest)));
    let label = candidate.manifest().label();
    let question = format!("Replace version {} by `{label}`?", before.version);
    ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
    put(desk, &found.place, &candidate, direction(&update.proof))
}

/// A destination wants a connector that is not installed: is it in the folder of those that can be? Then
/// show it, ask, and install it. `missing` is told when there is none.
pub(in crate::command) fn offer(
    desk: Desk<'_>,
    host: &Host,
    wanted: &ConnectorReference,
    folder: Option<&Path>,
    missing: Failure,
) -> Result<(), Failure> {
    let usual = host.home().path().join(AVAILABLE_FOLDER);
    let folder = folder.unwrap_or(&usual);
    if !folder.is_dir() {
        return Err(missing);
    }
    let proof = Proof { bundle: None, allow_unsigned: false, allow_downgrade: false };
    let access = Access::default();
    let (mut best, mut unfit) = (None, None);
    for path in components_in(folder)? {
        // Which connector it is, is known only of one that is trusted; a name is a promise of nobody's.
        let found = match Found::read(desk, &path, &proof, &access) {
            Ok(found) => found,
            Err(failure) => {
                unfit = unfit.or_else(|| is_called(&path, wanted).then_some(failure));
                continue;
            }
        };
        let (fits, version) = match found.examine(desk) {
            Ok(candidate) => (is(candidate.manifest(), wanted), candidate.manifest().version.clone()),
            Err(failure) => {
                unfit = unfit.or_else(|| is_called(&path, wanted).then_some(failure));
                continue;
            }
        };
        if fits && best.as_ref().is_none_or(|(best, _)| version > *best) {
            best = Some((version, found));
        }
    }
    let Some((_, found)) = best else { return Err(unfit.unwrap_or(missing)) };
    let candidate = found.examine(desk)?;
    let place = &found.place;
    ask::explain(
        desk.output,
        desk.global.yes,
        format_args!("connector `{wanted}` is not installed, but `{place}` has it:"),
    );
    explain(desk, &candidate, None);
    let question = format!("Install `{}`?", candidate.manifest().label());
    ask::confirm(desk.output, desk.global.yes, &question, Unattended::Stops)?;
    put_quietly(desk, &found.place, &candidate, Direction::Forward).map(drop)
}

fn is(manifest: &Manifest, wanted: &ConnectorReference) -> bool {
    [&manifest.kind, &manifest.id].contains(&&wanted.name)
        && wanted.version.as_ref().is_none_or(|version| *version == manifest.version)
}

fn is_called(path: &Path, wanted: &ConnectorReference) -> bool {
    path.file_stem().is_some_and(|stem| stem == wanted.name.as_str())
}

/// Say who signed a candidate and what it asks for; where it replaces another, what that did not ask for.
fn explain(desk: Desk<'_>, candidate: &Candidate<'_>, before: Option<(&Installed, &Manifest)>) {
    let output = desk.output;
    let explain = |text: &dyn std::fmt::Display| ask::explain(output, desk.global.yes, text);
    let (manifest, ticket) = (candidate.manifest(), candidate.ticket());
    let name = output.paint_err(Tone::Strong, format_args!("{} ({})", manifest.name, manifest.label()));
    match (ticket.publisher(), ticket.key()) {
        (Some(publisher), Some(key)) => {
            explain(&format_args!("{name} is signed by {publisher} ({}) and asks for:", key.short()));
        }
        _ => {
            explain(&format_args!("{name} is {} and asks for:", output.paint_err(Tone::Warning, "unsigned")));
        }
    }
    let warn = |text: &str| output.paint_err(Tone::Warning, text);
    for line in sentence::lines(manifest, manifest.permissions(), Detail::Host, warn) {
        explain(&line);
    }
    let Some((installed, old)) = before else { return };
    let new = names(manifest, old);
    if !new.is_empty() {
        let new = new.join(", ");
        explain(&format_args!("Version {} did not ask for: {}", installed.version, warn(&new)));
    }
    let gone = names(old, manifest);
    if !gone.is_empty() {
        explain(&format_args!("No longer asked for: {}", gone.join(", ")));
    }
}

/// The permissions that one manifest has and another does not.
fn names<'a>(of: &'a Manifest, but_not_of: &Manifest) -> Vec<&'a str> {
    let new = of.permissions().filter(|one| but_not_of.permission(one.name()).is_none());
    new.map(|one| one.name()).collect()
}

fn put(desk: Desk<'_>, place: &str, candidate: &Candidate<'_>, direction: Direction) -> Result<(), Failure> {
    let installed = put_quietly(desk, place, candidate, direction)?;
    if desk.output.is_json() {
        desk.output.json(&InstalledJson::new(&installed))?;
    }
    crate::command::grant::after_update(desk, &desk.host()?, &installed)
}

fn put_quietly(
    desk: Desk<'_>,
    place: &str,
    candidate: &Candidate<'_>,
    direction: Direction,
) -> Result<Installed, Failure> {
    let host = desk.host_or_new()?;
    let (installed, replaced) =
        host.install(candidate, direction).map_err(|error| refused(place, error.into()))?;
    let label = candidate.manifest().label();
    let before = replaced.filter(|before| before.version != installed.version);
    let instead = before.map(|before| format!(" in place of {}", before.version)).unwrap_or_default();
    let signed = if installed.unsigned {
        "it is unsigned".to_owned()
    } else {
        format!("signed by {}", signature(&installed))
    };
    desk.output.note(format_args!("installed `{label}`{instead}; {signed}"));
    Ok(installed)
}

/// The file, or the components in the folder.
fn components(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let components = components_in(path)?;
    if components.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("there is no `*.wasm` in `{}`", path.display()))
            .with_hint("name a component, or a folder that holds some"));
    }
    Ok(components)
}

fn components_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |problem| Failure::local("read", folder, problem);
    let mut components = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            components.push(path);
        }
    }
    if components.len() > FOLDER_COMPONENTS_MAX {
        let message = format!("`{}` holds more than {FOLDER_COMPONENTS_MAX} components", folder.display());
        return Err(Failure::new(Exit::Usage, message).with_hint("install them one by one"));
    }
    components.sort();
    Ok(components)
}
