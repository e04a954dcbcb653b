//! `wharf copy`.

use std::path::Path;
use std::sync::Arc;

use wharf_runtime::attached::{Attached, Room};
use wharf_runtime::host::Choice;
use wharf_runtime::transfer::{self, Options, Summary};

use super::interrupt::Interrupts;
use super::{Desk, moving, recorded};
use crate::args::Copy;
use crate::exit::Exit;
use crate::filter::Filter;
use crate::location::{Location, Remote};
use crate::output::harmless;
use crate::progress::Progress;
use crate::report::Failure;

/// Copy what the command line says, or say why the two sides make no copy.
pub(super) fn run(desk: Desk<'_>, copy: &Copy) -> Result<(), Failure> {
    let direction = match (&copy.source, &copy.target) {
        (Location::Local(source), Location::Remote(target)) => Direction::Up { source, target },
        (Location::Remote(source), Location::Local(target)) => Direction::Down { source, target },
        (Location::Local(source), Location::Local(target)) => {
            let message =
                format!("neither `{}` nor `{}` is at a destination", source.display(), target.display());
            return Err(Failure::new(Exit::Usage, message)
                .with_hint("write one of them as NAME:path; between local folders use `cp -a`"));
        }
        (Location::Remote(source), Location::Remote(target)) if source.destination == target.destination => {
            return at_the_service(desk, copy, source, target);
        }
        (Location::Remote(source), Location::Remote(target)) => {
            let message = format!("`{source}` and `{target}` are at different destinations");
            return Err(Failure::new(Exit::Usage, message).with_hint(format!(
                "copy to a local folder and on from there: `wharf copy {source} ./folder`, then `wharf copy ./folder {target}`"
            )));
        }
    };
    moving(Box::pin(direction.run(desk, copy)))
}

/// Both sides at one destination: the service copies, and only all of it.
fn at_the_service(desk: Desk<'_>, copy: &Copy, source: &Remote, target: &Remote) -> Result<(), Failure> {
    let chosen = copy.checksum
        || copy.dry_run
        || copy.copy_links
        || copy.times
        || copy.threads.is_some()
        || copy.pace.is_said()
        || !copy.include.is_empty()
        || !copy.exclude.is_empty();
    if chosen {
        let message = "a copy at the service is of everything; none of copy's options applies to it";
        return Err(Failure::new(Exit::Usage, message).with_hint("leave the options out"));
    }
    super::waiting(Box::pin(super::change::copy(desk, source, target)))
}

/// Which side is where.
#[derive(Clone, Copy)]
enum Direction<'a> {
    Up { source: &'a Path, target: &'a Remote },
    Down { source: &'a Remote, target: &'a Path },
}

impl Direction<'_> {
    const fn remote(&self) -> &Remote {
        match self {
            Self::Up { target, .. } => target,
            Self::Down { source, .. } => source,
        }
    }

    /// The target, for messages.
    fn place(&self) -> String {
        match self {
            Self::Up { target, .. } => harmless(&target.to_string()),
            Self::Down { target, .. } => harmless(&target.to_string_lossy()),
        }
    }

    async fn run(self, desk: Desk<'_>, copy: &Copy) -> Result<(), Failure> {
        let options = options(copy)?;
        let mut interrupts = Interrupts::new()?;
        let host = desk.host()?;
        let choice = Choice { threads: copy.threads, rates: copy.pace.chosen() };
        let attached = host.attach_with(&self.remote().destination, choice).await?;
        let installed = host.version_for(&host.destinations().load(&self.remote().destination)?)?;
        desk.output.detail(format_args!(
            "using connector `{}@{}` ({})",
            installed.id,
            installed.version,
            super::connector::signature(&installed)
        ));
        self.say_if_unknown(desk, &attached, copy).await?;
        if !copy.dry_run {
            begin(desk, copy, &attached, &mut interrupts).await?;
        }
        let progress = Progress::new(desk.output, copy.dry_run);
        let mut work = Box::pin(self.copy(&attached, &options, &progress));
        let outcome = loop {
            tokio::select! {
                biased;
                () = interrupts.next() => break None,
                text = attached.broker().notice() => desk.output.warning(text),
                outcome = &mut work => break Some(outcome),
            }
        };
        drop(work);
        let verdict = match outcome {
            Some(Ok(summary)) => progress.finish(&summary, &self.place()),
            Some(Err(error)) => Err(progress.failed(error)),
            None => Err(progress.interrupted()),
        };
        let verdict = match (self, verdict) {
            (Self::Up { .. }, Ok(())) if !copy.dry_run => tokio::select! {
                biased;
                () = interrupts.next() => Err(Failure::new(
                    Exit::Interrupted,
                    "interrupted while the configuration was exported; everything was copied",
                )
                .with_hint("run `wharf recovery export`")),
                exported = super::recovery::after_copy(desk, &host, &attached) => exported,
            },
            (Self::Up { .. } | Self::Down { .. }, verdict) => verdict,
        };
        // A second interrupt does not wait for the disk.
        tokio::select! {
            biased;
            () = interrupts.next() => Err(Failure::reported(Exit::Interrupted)),
            verdict = recorded(&host, &attached, verdict) => verdict,
        }
    }

    /// A disk limit that cannot be held to must not look like one that is.
    async fn say_if_unknown(self, desk: Desk<'_>, attached: &Attached, copy: &Copy) -> Result<(), Failure> {
        match self {
            Self::Up { .. } if !copy.dry_run && !attached.is_read_only() => {}
            Self::Up { .. } | Self::Down { .. } => return Ok(()),
        }
        match attached.room(0).await? {
            Room::Unlimited | Room::Enough | Room::Full { .. } => {}
            Room::Unknown => desk.output.warning(format_args!(
                "destination `{}` has a disk limit, but its service does not tell how full it is: nothing is held to it",
                attached.name()
            )),
        }
        Ok(())
    }

    async fn copy(
        self,
        attached: &Attached,
        options: &Options,
        progress: &Progress<'_>,
    ) -> Result<Summary, transfer::Error> {
        match self {
            Self::Up { source, target } => {
                transfer::upload(attached, source, &target.path, options, progress).await
            }
            Self::Down { source, target } => {
                transfer::download(attached, &source.path, target, options, progress).await
            }
        }
    }
}

/// Wait for other transfers of the destination, if no more of them are to run at a time.
async fn begin(
    desk: Desk<'_>,
    copy: &Copy,
    attached: &Attached,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    let (threads, name) = (attached.threads(), attached.name());
    let there_are = threads.limit();
    if let Some(asked) = copy.threads.filter(|asked| usize::from(*asked) > there_are) {
        desk.output.note(format_args!(
            "destination `{name}` has {there_are} threads, fewer than the {asked} of `--threads`; set `threads` in `destinations/{name}.toml` for more"
        ));
    }
    if threads.try_begin(copy.pace.tasks) {
        return Ok(());
    }
    let others = threads.running();
    desk.output.note(format_args!(
        "waiting: {} of destination `{name}` on this machine, and no more may",
        if others == 1 { "1 transfer runs".to_owned() } else { format!("{others} transfers run") }
    ));
    tokio::select! {
        biased;
        () = interrupts.next() => {
            let message = format!("interrupted while waiting for another transfer of destination `{name}`");
            Err(Failure::new(Exit::Interrupted, message).with_hint("run the same command again; nothing was copied yet"))
        }
        () = threads.begin(copy.pace.tasks) => Ok(()),
    }
}

fn options(copy: &Copy) -> Result<Options, Failure> {
    let filter = Filter::new(&copy.include, &copy.exclude)
        .map_err(|problem| Failure::new(Exit::Usage, format!("the patterns are too large: {problem}")))?;
    Ok(Options {
        dry_run: copy.dry_run,
        checksum: copy.checksum,
        copy_links: copy.copy_links,
        keep_times: copy.times,
        filter: filter.map(|filter| -> transfer::Filter { Arc::new(move |path| filter.takes(path)) }),
    })
}
