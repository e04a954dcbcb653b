//! What each command does. This file chooses; there is one file for each group of commands.

mod account;
mod audit;
mod browse;
mod change;
mod completion;
mod connector;
mod copy;
mod destination;
mod grant;
mod interrupt;
mod recovery;
mod trust;
mod vault;

use std::future::Future;
use std::io;
use std::path::PathBuf;

use wharf_runtime::account::sign_in_hint;
use wharf_runtime::attached::Attached;
use wharf_runtime::destination::Caller;
use wharf_runtime::home::{Home, Name};
use wharf_runtime::host::Host;
use wharf_runtime::network;

use crate::args::{Arguments, Command, Global, given_keys};
use crate::exit::Exit;
use crate::output::Output;
use crate::report::Failure;

/// What every command has at hand.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    /// The options of every command.
    pub(crate) global: &'a Global,
    /// Where it prints.
    pub(crate) output: &'a Output,
}

/// Do what the command line says.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let desk = Desk { global: &arguments.global, output };
    match &arguments.command {
        Command::Connector(command) => connector::run(desk, command),
        Command::Trust(command) => trust::run(desk, command),
        Command::Account(command) => account::run(desk, command),
        Command::Destination(command) => destination::run(desk, command),
        Command::Grant(command) => grant::run(desk, command),
        Command::Copy(copy) => copy::run(desk, copy),
        Command::Move(moving) => waiting(Box::pin(change::relocate(desk, moving))),
        Command::Ls(list) => waiting(Box::pin(browse::list(desk, list))),
        Command::Stat { place } => waiting(Box::pin(browse::stat(desk, place))),
        Command::Mkdir { place } => waiting(Box::pin(change::make_folder(desk, place))),
        Command::Rm(remove) => waiting(Box::pin(change::remove(desk, remove))),
        Command::Audit { destination, summary: true, .. } => audit::summary(desk, destination),
        Command::Audit { destination, verify: true, anchor, .. } => audit::verify(desk, destination, *anchor),
        Command::Audit { destination, limit, .. } => audit::list(desk, destination, *limit),
        Command::Vault(command) => vault::run(desk, command),
        Command::Recovery(command) => recovery::run(desk, command),
        Command::Completion { shell } => completion::print(desk, *shell),
    }
}

impl Desk<'_> {
    /// Everything that Wharf knows, in the home that must be there.
    fn host(self) -> Result<Host, Failure> {
        Home::open_existing(&self.home_path()?)?;
        self.host_or_new()
    }

    /// Everything that Wharf knows; a home is made where there is none.
    fn host_or_new(self) -> Result<Host, Failure> {
        let host = Host::open_with(&self.home_path()?, self.network_options(), &given_keys()?)?;
        Ok(host.with_limits(self.global.limits()))
    }

    /// The network as the command line sets it up for everything.
    fn network_options(self) -> network::Options {
        network::Options {
            connect_to: self.global.connect_to.clone(),
            ca_certificates: self.global.ca_cert.clone(),
            ..network::Options::default()
        }
    }

    /// Who runs this command, as far as the home is concerned.
    fn caller(self, host: &Host) -> Result<Caller, Failure> {
        let id = uzers::get_effective_uid();
        let name = uzers::get_user_by_uid(id).map(|user| user.name().to_string_lossy().into_owned());
        Ok(Caller::new(id, name, host.home().owner()?))
    }

    fn home_path(self) -> Result<PathBuf, Failure> {
        self.global.home().ok_or_else(|| {
            Failure::new(Exit::Usage, "neither HOME nor XDG_DATA_HOME says where data lies")
                .with_hint("name the home with `--home` or `WHARF_HOME`")
        })
    }
}

/// The end of work at a destination: its records are on disk before anything is said to be done.
/// Where an account must sign in again, the remedy names it: what failed only knows the destination.
async fn recorded<T>(host: &Host, attached: &Attached, done: Result<T, Failure>) -> Result<T, Failure> {
    let settled = attached.settle().await;
    let done = done.map_err(|failure| match (failure.exit(), account_of(host, attached)) {
        (Exit::SignIn, Some(account)) => failure.with_hint(sign_in_hint(&account)),
        _ => failure,
    })?;
    settled?;
    Ok(done)
}

fn account_of(host: &Host, attached: &Attached) -> Option<Name> {
    host.destinations().load(attached.name()).ok()?.account
}

/// Run what mostly waits for a service, on this thread.
fn waiting<T, E: From<Failure>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    finish(tokio::runtime::Builder::new_current_thread(), work)
}

/// Run what moves bytes, on several threads.
fn moving<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    finish(wharf_runtime::workers::builder(), work)
}

fn finish<T, E: From<Failure>>(
    mut builder: tokio::runtime::Builder,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let runtime = builder.enable_all().build().map_err(no_runtime)?;
    let done = runtime.block_on(work);
    // Whoever interrupts twice does not wait for a disk that hangs.
    runtime.shutdown_background();
    done
}

fn no_runtime(problem: io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("this machine gives no threads to work with: {problem}"))
}
