//! How a connector gets in: from a file, from a folder of several, or offered to whoever needs one.
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

use super::{InstalledJson, reference, signature};
use crate::args::{ConnectorInstall, ConnectorUpdate, Proof};
use crate::ask::{self, Unattended};
use crate::command::Desk;
use crate::exit::Exit;
use crate::file;
use crate::output::Tone;
use crate::report::Failure;
use crate::sentence::{self, Detail};

/// Most components in a folder: each is read and verified, some milliseconds and megabytes each.
const FOLDER_COMPONENTS_MAX: usize = 64;

/// A file's bytes, and those of its bundle; none where none is looked for.
struct Files {
    path: PathBuf,
    component: Vec<u8>,
    bundle: Option<Vec<u8>>,
}

impl Files {
    /// Read both. Where a signature is wanted and there is none, that is the error.
    fn read(path: &Path, proof: &Proof) -> Result<Self, Failure> {
        let component = file::read(path, COMPONENT_BYTES_MAX)?;
        let bundle = match &proof.bundle {
            _ if proof.allow_unsigned => None,
            Some(bundle) => Some(read_bundle(bundle)?),
            None => {
                let beside = file::suffixed(path, BUNDLE_SUFFIX);
                if !beside.exists() {
                    return Err(refused(path, host::Error::Unsigned.into()));
                }
                Some(read_bundle(&beside)?)
            }
        };
        Ok(Self { path: path.to_owned(), component, bundle })
    }

    fn examine(&self, desk: Desk<'_>) -> Result<Candidate<'_>, Failure> {
        let examined = match &self.bundle {
            Some(_) if !desk.home_path()?.exists() => {
                let failure = Failure::new(Exit::Denied, "nobody is trusted yet, so no signature counts");
                let hint = "run `wharf trust add NAME --key FILE --id-prefix PREFIX` first";
                return Err(refused(&self.path, failure.with_hint(hint)));
            }
            Some(bundle) => desk.host()?.examine(&self.component, bundle),
            None => Candidate::unsigned(&self.component),
        };
        examined.map_err(|error| refused(&self.path, error.into()))
    }
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, Failure> {
    file::read(path, usize::try_from(BUNDLE_BYTES_MAX).unwrap_or(usize::MAX))
}

fn refused(path: &Path, failure: Failure) -> Failure {
    failure.with_context(format!("`{}` cannot be installed", path.display()))
}

const fn direction(proof: &Proof) -> Direction {
    if proof.allow_downgrade { Direction::Any } else { Direction::Forward }
}

pub(super) fn install(desk: Desk<'_>, install: &ConnectorInstall) -> Result<(), Failure> {
    let paths = components(&install.component)?;
    if paths.len() > 1 && install.proof.bundle.is_some() {
        return Err(Failure::new(Exit::Usage, "`--bundle` is of one component, and the folder has several")
            .with_hint("leave it out: each has its bundle beside it, or install one by one"));
    }
    let several = paths.len() > 1;
    for path in paths.iter().filter(|_| several) {
        // All are good, or none is installed.
        Files::read(path, &install.proof)?.examine(desk)?;
    }
    for path in &paths {
        let files = Files::read(path, &install.proof)?;
        let candidate = files.examine(desk)?;
        explain(desk, &candidate, None);
        let question = format!("Install `{}`?", candidate.manifest().label());
        ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
        put(desk, path, &candidate, direction(&install.proof))?;
    }
    Ok(())
}

pub(super) fn update(desk: Desk<'_>, update: &ConnectorUpdate) -> Result<(), Failure> {
    let host = desk.host()?;
    let (before, manifest) = host.manifest(&reference(&update.connector)?)?;
    let files = Files::read(&update.component, &update.proof)?;
    let candidate = files.examine(desk)?;
    if candidate.manifest().id != before.id {
        let (other, path) = (candidate.manifest().label(), update.component.display());
        let message = format!("`{path}` is `{other}`, and not a version of `{}`", before.id);
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
    put(desk, &update.component, &candidate, direction(&update.proof))
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
    let (mut found, mut unfit) = (None, None);
    for path in components_in(folder)? {
        // Which connector it is, is known only of one that is trusted; a name is a promise of nobody's.
        let files = match Files::read(&path, &proof) {
            Ok(files) => files,
            Err(failure) => {
                unfit = unfit.or_else(|| is_called(&path, wanted).then_some(failure));
                continue;
            }
        };
        let (fits, version) = match files.examine(desk) {
            Ok(candidate) => (is(candidate.manifest(), wanted), candidate.manifest().version.clone()),
            Err(failure) => {
                unfit = unfit.or_else(|| is_called(&path, wanted).then_some(failure));
                continue;
            }
        };
        if fits && found.as_ref().is_none_or(|(best, _)| version > *best) {
            found = Some((version, files));
        }
    }
    let Some((_, files)) = found else { return Err(unfit.unwrap_or(missing)) };
    let candidate = files.examine(desk)?;
    let place = files.path.display();
    ask::explain(
        desk.output,
        desk.global.yes,
        format_args!("connector `{wanted}` is not installed, but `{place}` has it:"),
    );
    explain(desk, &candidate, None);
    let question = format!("Install `{}`?", candidate.manifest().label());
    ask::confirm(desk.output, desk.global.yes, &question, Unattended::Stops)?;
    put_quietly(desk, &files.path, &candidate, Direction::Forward).map(drop)
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

fn put(desk: Desk<'_>, path: &Path, candidate: &Candidate<'_>, direction: Direction) -> Result<(), Failure> {
    let installed = put_quietly(desk, path, candidate, direction)?;
    if desk.output.is_json() {
        desk.output.json(&InstalledJson::new(&installed))?;
    }
    crate::command::grant::after_update(desk, &desk.host()?, &installed)
}

fn put_quietly(
    desk: Desk<'_>,
    path: &Path,
    candidate: &Candidate<'_>,
    direction: Direction,
) -> Result<Installed, Failure> {
    let host = desk.host_or_new()?;
    let (installed, replaced) =
        host.install(candidate, direction).map_err(|error| refused(path, error.into()))?;
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
