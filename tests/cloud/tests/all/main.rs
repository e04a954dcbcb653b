//! The emulators seen through a plain HTTP client: one file per part of the services.
//!
//! `onedrive` items and folders, `session` its uploads, `delta` its changes, jobs and throttling;
//! `dropbox` calls and batches; `login` tokens of both; `fault` what goes wrong on purpose;
//! `control` the port for other processes; `load` many objects and many connections.

#[cfg(test)]
mod control;
#[cfg(test)]
mod delta;
#[cfg(test)]
mod dropbox;
#[cfg(test)]
mod fault;
#[cfg(test)]
mod help;
#[cfg(test)]
mod load;
#[cfg(test)]
mod login;
#[cfg(test)]
mod onedrive;
#[cfg(test)]
mod session;
