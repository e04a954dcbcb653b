//! `wharf copy`, `move`, `ls`, `rm`.

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, value_parser};

use wharf_runtime::destination::THREADS_MAX;

use super::pace::Pace;
use crate::filter::Pattern;
use crate::location::{Location, Remote};

/// Copy a file or a tree to a destination or back
///
/// One side is NAME:PATH, relative to the destination's backup directory; the other is local. Within
/// one destination the service copies by itself, and nothing is replaced. As with
/// rclone, a folder's contents go into the target folder, and a file goes into it under its own
/// name. Files that are there already, with the same size and modification time, are skipped; nothing
/// is ever deleted. After an interruption, running the same command again continues.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf copy /srv/data archive:data          what is in /srv/data, into the folder data
  wharf copy /srv/db.dump archive:           one file, into the backup directory
  wharf copy archive:data /srv/restored      and back
  wharf copy archive:data archive:data.old   at the service, under another path
  wharf copy /srv archive: --exclude '*.tmp' --exclude 'cache/' --dry-run
  wharf copy /srv archive: --bwlimit 10M:off --tasks 2

Patterns are rclone's: `*` does not cross a `/`, and `**` stands for any number of folders. One that
begins with `/` starts at the copied folder, any other at each folder below it too. `cache/` is
everything in such a folder. A file is copied when it matches an --include, if there are any, and no
--exclude.

Transfers of one destination that run at the same time share its threads evenly, and its rates, on
this machine. --tasks, --bwlimit and --tpslimit count for this run instead of what the destination
says.")]
pub(crate) struct Copy {
    /// What to copy: a local path, or NAME:PATH
    #[arg(value_name = "SRC", value_parser = OsStringValueParser::new().try_map(Location::parse))]
    pub(crate) source: Location,
    /// The folder that it goes into: NAME:PATH, or a local path
    #[arg(value_name = "DST", value_parser = OsStringValueParser::new().try_map(Location::parse))]
    pub(crate) target: Location,
    /// Tell changed files by their hashes, which reads all of them, instead of size and time; what has
    /// no hash is copied
    #[arg(short, long)]
    pub(crate) checksum: bool,
    /// Only say what would be copied
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Copy only what matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<Pattern>,
    /// Do not copy what matches; may be repeated, and wins over --include
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<Pattern>,
    /// Copy what symbolic links point to; without it they are skipped with a notice
    #[arg(short = 'L', long)]
    pub(crate) copy_links: bool,
    /// Store modification times at the service too; costs one more request for each small file
    #[arg(long)]
    pub(crate) times: bool,
    /// Operations at a time in this run, at most as many as the destination has
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=i64::from(THREADS_MAX)))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) pace: Pace,
}

/// Give a file, or a folder with everything in it, another path at its destination
///
/// Nothing is replaced: what is at the new path already stays, and the command fails. The folders on
/// the way are made. Killed and run again, it ends what was begun.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf move archive:data/new.dump archive:data/2026.dump
  wharf move archive:incoming/site1 archive:site1")]
pub(crate) struct Move {
    /// What to move
    #[arg(value_name = "NAME:PATH")]
    pub(crate) source: Remote,
    /// Its new path, at the same destination
    #[arg(value_name = "NAME:PATH")]
    pub(crate) target: Remote,
}

/// List what is stored in a folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf ls archive:
  wharf ls -lR archive:data
  wharf ls -R archive:data --json | jq -r 'select(.size > 1000000) | .path'

The names of folders end with a `/`. With --json each line has path, kind, size, modified, hash and
revision; paths are relative to the backup directory.")]
pub(crate) struct List {
    /// A folder at a destination, such as archive: or archive:data
    #[arg(value_name = "NAME:PATH")]
    pub(crate) place: Remote,
    /// List what is in folders, too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Show size in bytes and modification time (UTC)
    #[arg(short, long)]
    pub(crate) long: bool,
}

/// Remove files, or with --recursive folders and everything in them
///
/// Several go in one request where the service takes that. On a terminal it asks before a folder is removed. Services keep removed files for a while in their
/// recycle bin; Wharf does not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf rm archive:data/old.dump archive:data/older.dump
  wharf rm --recursive archive:data/2019")]
pub(crate) struct Remove {
    /// Files or folders at one destination, such as archive:data/old.dump
    #[arg(value_name = "NAME:PATH", required = true)]
    pub(crate) places: Vec<Remote>,
    /// Remove a folder and everything in it
    #[arg(short, long)]
    pub(crate) recursive: bool,
}
