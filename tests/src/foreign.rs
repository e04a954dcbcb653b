//! Clients that nobody here wrote, run against the emulators as their users run them.
//!
//! They reach the services under their real names, through the emulators' proxy. `cargo xtask test`
//! installs them; a test that does not find one says so.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use super::*;

/// Emulators behind a proxy, a folder, and what foreign clients are told about both.
#[derive(Debug)]
pub struct Foreign {
    /// The services, the folder, and Wharf.
    pub shell: Shell,
    proxy: String,
    /// The kind of the drive, as rclone calls it.
    drive: &'static str,
}

/// How a client ended.
#[derive(Debug)]
pub struct Finished {
    /// The command.
    pub command: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: String,
}

impl Finished {
    /// It did what it was asked. Returns what it printed.
    #[track_caller]
    pub fn done(self) -> Vec<u8> {
        assert_eq!(self.code, Some(0), "{}:\n{}", self.command, self.stderr);
        self.stdout
    }

    /// As [`done`](Self::done), its lines sorted.
    #[track_caller]
    pub fn lines(self) -> Vec<String> {
        let text = String::from_utf8(self.done()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// It failed. Returns what it complained about.
    #[track_caller]
    pub fn failed(self) -> String {
        assert!(self.code.is_some_and(|code| code != 0), "{} went well:\n{}", self.command, self.stderr);
        self.stderr
    }
}

impl Foreign {
    /// Both services, rclone's remotes `onedrive` and `dropbox` on them, and an empty home.
    #[must_use]
    pub fn new() -> Self {
        Self::with(cloud::Options::default())
    }

    /// As [`new`](Self::new), with other emulators.
    #[must_use]
    pub fn with(options: cloud::Options) -> Self {
        let drive = match options.drive_kind {
            cloud::DriveKind::Personal => "personal",
            cloud::DriveKind::Business => "business",
            cloud::DriveKind::DocumentLibrary => "documentLibrary",
        };
        let shell = Shell::with(cloud::Options { proxy: true, ..options });
        let proxy = format!("http://{}", shell.cloud.proxy_addr().unwrap());
        let foreign = Self { shell, proxy, drive };
        for service in Service::ALL {
            let (token, _, _) = foreign.shell.client(service);
            foreign.add_remote(service.kind(), service, &token, "");
        }
        foreign
    }

    /// Add a remote to rclone's configuration; `more` are lines of its own.
    pub fn add_remote(&self, name: &str, service: Service, token: &Value, more: &str) {
        let (_, id, secret) = self.shell.client(service);
        let drive = match service {
            Service::OneDrive => {
                let onedrive = self.shell.cloud.onedrive();
                format!("drive_id = {}\ndrive_type = {}\n", onedrive.drive_id(ACCOUNT).unwrap(), self.drive)
            }
            Service::Dropbox => String::new(),
        };
        let kind = service.kind();
        let remote = format!(
            "[{name}]\ntype = {kind}\nclient_id = {id}\nclient_secret = {secret}\ntoken = {token}\n{drive}{more}\n"
        );
        let config = self.shell.path("rclone.conf");
        let before = std::fs::read_to_string(&config).unwrap_or_default();
        std::fs::write(config, before + &remote).unwrap();
    }

    /// rclone with these words. It tries each thing once, so that nothing it meets is hidden.
    pub fn rclone(&self, words: &[&str]) -> Finished {
        let mut command = self.rclone_command(&["--retries", "1", "--low-level-retries", "1"]);
        command.args(words);
        run(command)
    }

    /// rclone with these words and its own habits, for those who start it themselves.
    #[must_use]
    pub fn rclone_command(&self, words: &[&str]) -> Command {
        let mut command = self.command("python/bin/rclone");
        command.args(words);
        command
    }

    /// restic with its repository in `remote`, which rclone brings it to.
    pub fn restic(&self, remote: &str, words: &[&str]) -> Finished {
        let mut command = self.command("restic/usr/bin/restic");
        command.arg("-o").arg(format!("rclone.program={}", installed("python/bin/rclone").display()));
        command.args(["--no-cache", "--repo", &format!("rclone:{remote}")]).args(words);
        command.env("RESTIC_PASSWORD", "password");
        run(command)
    }

    /// A script of `tests/foreign`. It is told where the emulators are in `CLOUD`, as JSON.
    pub fn python(&self, script: &str, proxied: bool) -> Finished {
        let mut command = self.command("python/bin/python");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign").join(script);
        let cloud = &self.shell.cloud;
        let client = |service| {
            let (token, id, secret) = self.shell.client(service);
            json!({"id": id, "secret": secret, "token": token})
        };
        let facts = json!({
            "control": cloud.control_addr(), "tls": cloud.tls_addr(), "plain": cloud.plain_addr(),
            "drive_id": cloud.onedrive().drive_id(ACCOUNT),
            "clients": {"onedrive": client(Service::OneDrive), "dropbox": client(Service::Dropbox)},
        });
        // Isolated, or a script named as its library would find itself.
        command.arg("-I").arg(script).env("CLOUD", facts.to_string());
        if !proxied {
            command.env_remove("HTTPS_PROXY");
        }
        run(command)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(installed(program));
        let ca = self.shell.path("ca.pem");
        command.env_clear().env("HOME", self.shell.folder.path()).current_dir(self.shell.folder.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HTTPS_PROXY", &self.proxy).env("SSL_CERT_FILE", &ca).env("REQUESTS_CA_BUNDLE", &ca);
        command.env("RCLONE_CONFIG", self.shell.path("rclone.conf"));
        command.stdin(Stdio::null());
        command
    }

    /// What the emulators store below a folder, by path below it.
    #[must_use]
    pub fn stored(&self, service: Service, folder: &str) -> Vec<String> {
        let files = match service {
            Service::OneDrive => self.shell.cloud.onedrive().files(ACCOUNT),
            Service::Dropbox => self.shell.cloud.dropbox().files(ACCOUNT),
        };
        let below = format!("{folder}/");
        let mut paths: Vec<String> =
            files.iter().filter_map(|file| file.path.strip_prefix(&below)).map(str::to_owned).collect();
        paths.sort();
        paths
    }

    /// The emulators understood every request, none broke a rule, and none was refused for its form.
    ///
    /// What a client finds missing or in its way is an answer, so 404, 409 and a condition that does not
    /// hold (412) are none.
    #[track_caller]
    pub fn assert_served(&self) {
        let log = self.shell.cloud.log();
        assert!(!log.is_empty(), "nothing arrived");
        for entry in log {
            assert_ne!(entry.kind, "unknown", "{entry:?}");
            assert!(!entry.leaked_authorization, "a token went to {}: {entry:?}", entry.host);
            assert!(!entry.too_early, "sent before the service allowed it: {entry:?}");
            let answered = matches!(entry.status, Some(200..=299 | 302 | 304 | 404 | 409 | 412));
            assert!(answered, "{entry:?}");
        }
    }
}

impl Default for Foreign {
    fn default() -> Self {
        Self::new()
    }
}

/// A program in `target/foreign`.
#[must_use]
pub fn installed(program: &str) -> PathBuf {
    let path = target().join("foreign").join(program);
    assert!(path.exists(), "{} is missing; run `cargo xtask test`, which installs it", path.display());
    path
}

/// Run such a program to its end.
#[must_use]
pub fn run(mut command: Command) -> Finished {
    let output = command.output().unwrap();
    Finished {
        command: format!("{:?} {:?}", command.get_program(), command.get_args()),
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
