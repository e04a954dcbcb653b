//! `cloud`: the emulators as a process of their own, for end-to-end tests, demos and clients that
//! nobody here wrote.
//!
//! Prints one line of JSON when it is ready and then nothing more; runs until its standard input
//! closes or it is told to stop.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use cloud::{Cloud, DEFAULT_ACCOUNT, DriveKind, Options, Ports};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// Emulators of OneDrive and Dropbox for testing backup clients.
///
/// They answer under the services' real host names, keep what is uploaded in files, log every
/// request, and misbehave on demand. They listen on 127.0.0.1 only.
#[derive(Debug, Parser)]
#[command(name = "cloud", version, after_long_help = GUIDE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run both emulators until standard input closes or a signal comes.
    Serve(Serve),
    /// Show what the control port understands.
    Control,
}

/// How to run.
#[derive(Debug, Args)]
struct Serve {
    /// Keep object bytes below this directory instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the authority's certificate here (PEM), for clients to trust.
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// Write tokens here: onedrive.json and dropbox.json, as rclone keeps them.
    #[arg(long, value_name = "DIR")]
    token_dir: Option<PathBuf>,
    /// Let every request wait this long.
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
    /// Write the request log here, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Write the line of JSON here as well.
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Run a CONNECT proxy that leads the services' names to the emulators.
    #[arg(long)]
    proxy: bool,
    /// Kind of the default OneDrive account.
    #[arg(long, value_enum, default_value_t = Kind::Business)]
    drive: Kind,
    /// Offer HTTP/1.1 only.
    #[arg(long)]
    http1: bool,
    /// Port of the services with TLS (0: any).
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    tls_port: u16,
    /// Port of the services without TLS (0: any).
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    plain_port: u16,
    /// Port of the control calls (0: any).
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    control_port: u16,
    /// Port of the proxy (0: any).
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    proxy_port: u16,
    /// Keep running when standard input closes; a signal still ends it.
    #[arg(long)]
    detach: bool,
}

/// Kinds of drives.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// OneDrive for work or school.
    Business,
    /// OneDrive of a private person.
    Personal,
    /// A SharePoint library.
    Library,
}

const GUIDE: &str = "\
Point a client at the emulators in one of three ways:

  1. Name by name, as curl does (and `wharf --connect-to … --ca-cert …`):
       curl --cacert ca.pem --connect-to graph.microsoft.com:443:127.0.0.1:PORT \\
            -H \"Authorization: Bearer TOKEN\" https://graph.microsoft.com/v1.0/me/drive
     The line of JSON lists every name under \"connect_to\".

  2. Through the proxy, for clients that honour HTTPS_PROXY:
       cloud serve --detach --proxy --ca-out ca.pem --token-dir tokens &
       HTTPS_PROXY=http://127.0.0.1:PROXY SSL_CERT_FILE=ca.pem rclone …

  3. By a base address, without TLS:
       OneDrive   http://127.0.0.1:PLAIN/v1.0/…  or  /_api/v2.0/… (rclone's tenant_url)
                  tokens at /common/oauth2/v2.0/token
       Dropbox    http://127.0.0.1:PLAIN/2/…, tokens at /oauth2/token

Tokens: `--token-dir`, or GET /token on the control port. There is one account per service,
\"default\"; more can be added. Any OAuth flow works as well: the authorize pages approve by
themselves unless a switch says otherwise.

Make it misbehave (control port, see `cloud control`):
  curl -d '{\"match\":{\"kind\":\"onedrive.session-part\"},\"skip\":1,\"times\":2,
           \"action\":{\"do\":\"preset\",\"name\":\"onedrive-throttled\",\"retry_after\":2}}' \\
       http://127.0.0.1:CONTROL/faults
  curl -d '{\"onedrive\":{\"ignore_range\":true}}' http://127.0.0.1:CONTROL/switches
  curl http://127.0.0.1:CONTROL/summary

A good client leaves \"too_early\", \"leaked_authorization\" and \"unknown\" at 0.";

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if even this cannot be written.
            let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Control => {
            write!(std::io::stdout().lock(), "{}", Cloud::control_help())?;
            Ok(())
        }
        Command::Serve(serve) => {
            let cloud = Cloud::start(options(&serve)).await.context("the emulators did not start")?;
            let line = announce(&serve, &cloud)?;
            writeln!(std::io::stdout().lock(), "{line}")?;
            until_told(serve.detach).await
        }
    }
}

fn options(serve: &Serve) -> Options {
    Options {
        data_dir: serve.data.clone(),
        latency: Duration::from_millis(serve.latency_ms),
        log_file: serve.log.clone(),
        drive_kind: match serve.drive {
            Kind::Business => DriveKind::Business,
            Kind::Personal => DriveKind::Personal,
            Kind::Library => DriveKind::DocumentLibrary,
        },
        http2: !serve.http1,
        proxy: serve.proxy,
        ports: Ports {
            tls: serve.tls_port,
            plain: serve.plain_port,
            control: serve.control_port,
            proxy: serve.proxy_port,
        },
    }
}

/// Writes the files that were asked for and gives the line that says where everything is.
fn announce(serve: &Serve, cloud: &Cloud) -> anyhow::Result<Value> {
    if let Some(path) = &serve.ca_out {
        write(path, cloud.ca_pem())?;
    }
    let mut tokens = serde_json::Map::new();
    if let Some(directory) = &serve.token_dir {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        for (name, token) in [
            ("onedrive", cloud.onedrive().token_json(DEFAULT_ACCOUNT)),
            ("dropbox", cloud.dropbox().token_json(DEFAULT_ACCOUNT)),
        ] {
            let path = directory.join(format!("{name}.json"));
            write(&path, &token.to_string())?;
            tokens.insert(name.to_owned(), json!(path));
        }
    }
    let line = json!({
        "tls": cloud.tls_addr(),
        "plain": cloud.plain_addr(),
        "control": cloud.control_addr(),
        "proxy": cloud.proxy_addr(),
        "ca": serve.ca_out,
        "connect_to": cloud.connect_to(),
        "tokens": tokens,
        "clients": {
            "onedrive": {
                "id": cloud.onedrive().client_id(),
                "secret": cloud.onedrive().client_secret(),
            },
            "dropbox": {
                "id": cloud.dropbox().client_id(),
                "secret": cloud.dropbox().client_secret(),
            },
        },
        "drive_id": cloud.onedrive().drive_id(DEFAULT_ACCOUNT),
    });
    if let Some(path) = &serve.port_file {
        write(path, &format!("{line}\n"))?;
    }
    Ok(line)
}

/// Writes a file so that whoever waits for it never sees half of it.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let half = path.with_extension("partial");
    std::fs::write(&half, text)
        .and_then(|()| std::fs::rename(&half, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

async fn until_told(detach: bool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = input_closes(), if !detach => {}
    }
    Ok(())
}

/// Waits for the end of standard input, in a thread of its own: a read that never returns must not
/// hold up the end of the process.
async fn input_closes() {
    let (closed, heard) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An error is as much an end as the end itself.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = heard.await;
}
