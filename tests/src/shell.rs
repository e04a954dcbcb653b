//! The built command, run as its users run it: a home of its own, emulators, and output made stable.

use std::path::PathBuf;

use super::*;

/// The built `wharf` with a home of its own, and emulators that it reaches under the services' real
/// names. What a command prints is made stable: folders, moments, durations, speeds and ports become
/// words in brackets, and so do identifiers of requests. A command that hangs is ended by the runner, with the test.
#[derive(Debug)]
pub struct Shell {
    /// The services.
    pub cloud: Cloud,
    /// The home, and room for files.
    pub folder: tempfile::TempDir,
    // After the services, which run on it.
    runtime: tokio::runtime::Runtime,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its data, made stable.
    pub stdout: String,
    /// Its messages, made stable.
    pub stderr: String,
}

/// As a person would see it: both streams and the code.
impl std::fmt::Display for Ran {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(formatter, "--- {name}\n{}", text.trim_end())?;
            }
        }
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        write!(formatter, "--- exit {code}")
    }
}

impl Ran {
    /// It did what it was asked. Returns its data.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// It ended with this code. Returns its messages.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self}");
        self.stderr
    }

    /// Its data, one JSON value a line.
    #[track_caller]
    pub fn json(self) -> Vec<Value> {
        self.done().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Shell {
    /// Emulators and an empty home.
    #[must_use]
    pub fn new() -> Self {
        Self::with(cloud::Options::default())
    }

    /// As [`new`](Self::new), with other emulators.
    #[must_use]
    pub fn with(options: cloud::Options) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let cloud = runtime.block_on(Cloud::start(options)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), cloud.ca_pem()).unwrap();
        Self { cloud, folder, runtime }
    }

    /// The connector of a service installed, and the account `work`.
    #[must_use]
    pub fn with_account(service: Service) -> Self {
        let shell = Self::new();
        shell.install(service).done();
        shell.add_account("work", service).done();
        shell
    }

    /// The same, and the destination `archive` in `/backups/server1`.
    #[must_use]
    pub fn with_archive(service: Service) -> Self {
        let shell = Self::with_account(service);
        shell.create("archive", service, &["--yes"]).done();
        shell
    }

    /// Wait for something on the emulators' own threads.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Install the connector of a service.
    pub fn install(&self, service: Service) -> Ran {
        let file = target().join(format!("connectors/{}.wasm", service.kind()));
        self.run(&["connector", "install", &file.to_string_lossy(), "--allow-unsigned"])
    }

    /// Add an account from a fresh token.
    pub fn add_account(&self, name: &str, service: Service) -> Ran {
        let (token, id, secret) = self.client(service);
        let (token, secret) =
            (self.file("token.json", token.to_string()), self.file("client-secret", secret));
        self.run(&[
            "account",
            "add",
            name,
            "--type",
            service.kind(),
            "--token-file",
            &token,
            "--client-id",
            id,
            "--client-secret-file",
            &secret,
        ])
    }

    /// A fresh token, and the application that it was issued to: its id and its secret.
    #[must_use]
    pub fn client(&self, service: Service) -> (Value, &str, &str) {
        match service {
            Service::OneDrive => {
                let service = self.cloud.onedrive();
                (service.token_json(ACCOUNT), service.client_id(), service.client_secret())
            }
            Service::Dropbox => {
                let service = self.cloud.dropbox();
                (service.token_json(ACCOUNT), service.client_id(), service.client_secret())
            }
        }
    }

    /// Create a destination of the account `work` in `/backups/server1`; `more` is what else is said.
    pub fn create(&self, name: &str, service: Service, more: &[&str]) -> Ran {
        let words = [
            "destination",
            "create",
            name,
            "--type",
            service.kind(),
            "--account",
            "work",
            "--backup-directory",
            "/backups/server1",
        ];
        self.run(&[&words, more].concat())
    }

    /// A file or folder in the shell's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the shell's folder, written anew. Returns its path as a command takes it.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A folder in the shell's folder, made where it is not there.
    #[must_use]
    pub fn room(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The compiled connectors in the home.
    #[must_use]
    pub fn artefacts(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.path("home/artefacts")).unwrap();
        folder.map(|entry| entry.unwrap().path()).collect()
    }

    /// Run `wharf` with these words, and wait for its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output().unwrap();
        self.ran(&output)
    }

    /// `wharf` with these words, for tests that start it themselves.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(profile().join("wharf"));
        command.env_clear().env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.stdin(std::process::Stdio::null());
        command.arg("--home").arg(self.path("home")).arg("--ca-cert").arg(self.path("ca.pem"));
        for pair in self.cloud.connect_to() {
            command.args(["--connect-to", &pair]);
        }
        command.args(words);
        command
    }

    /// How it ended, made stable.
    #[must_use]
    pub fn ran(&self, output: &std::process::Output) -> Ran {
        let stable = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let text = text.replace(self.folder.path().to_str().unwrap(), "[FOLDER]");
            stable(&text.replace(target().to_str().unwrap(), "[TARGET]"))
        };
        Ran { code: output.status.code(), stdout: stable(&output.stdout), stderr: stable(&output.stderr) }
    }
}

impl Default for Shell {
    fn default() -> Self {
        Self::new()
    }
}

/// Text without what differs from run to run.
fn stable(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(stable_line).collect();
    lines.join("\n")
}

fn stable_line(line: &str) -> String {
    let line = &[("state=", "[STATE]"), ("code_challenge=", "[CHALLENGE]"), ("the code `", "[CODE]")]
        .into_iter()
        .fold(line.to_owned(), |line, (before, word)| stable_drawn(&line, before, word));
    let before = if line.contains("fingerprint  ") { "fingerprint  " } else { "fingerprint " };
    let line = &stable_drawn(line, before, "[KEY]");
    let mut words: Vec<String> = line.split(' ').map(|word| stable_guid(&stable_moment(word))).collect();
    for at in 1..words.len() {
        let (unit, mark) = match words[at].find([';', ',', ')']) {
            Some(end) => words[at].split_at(end),
            None => (&*words[at], ""),
        };
        let word = match unit {
            "s" => "[TIME]",
            "ms" => "[MS]",
            _ if unit.ends_with("B/s") => "[SPEED]",
            _ => continue,
        };
        if words[at - 1].parse::<f64>().is_ok() {
            words[at] = format!("{word}{mark}");
            words[at - 1].clear();
        }
    }
    // The number before a unit is gone; the space after it went with it.
    let text = words.join(" ");
    let text = ["[TIME]", "[MS]", "[SPEED]"]
        .iter()
        .fold(text, |text, word| text.replace(&format!("  {word}"), &format!(" {word}")));
    match text.split_once("127.0.0.1:") {
        Some((before, after)) => {
            format!(
                "{before}127.0.0.1:[PORT]{}",
                after.trim_start_matches(|digit: char| digit.is_ascii_digit())
            )
        }
        None => text,
    }
}

/// What is drawn at random and follows `before`.
fn stable_drawn(line: &str, before: &str, word: &str) -> String {
    let Some((start, rest)) = line.split_once(before) else { return line.to_owned() };
    let is_drawn = |character: char| character.is_ascii_alphanumeric() || "-_%".contains(character);
    format!("{start}{before}{word}{}", rest.trim_start_matches(is_drawn))
}

/// `2026-01-31T12:00:00.123Z`, wherever it is in a word.
fn stable_moment(word: &str) -> String {
    let shape = |text: &str| -> String {
        text.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect()
    };
    let Some(start) = shape(word).find("0000-00-00T00:00:00") else { return word.to_owned() };
    let after = &word[start + "0000-00-00T00:00:00".len()..];
    let after = after.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    format!("{}[MOMENT]{}", &word[..start], stable_moment(after.strip_prefix('Z').unwrap_or(after)))
}

/// `1b4e28ba-2fa1-11d2-883f-0016d3cca427`, wherever it is in a word.
fn stable_guid(word: &str) -> String {
    let shape = |character: char| if character.is_ascii_hexdigit() { '0' } else { character };
    let shape: String = word.chars().filter(char::is_ascii).map(shape).collect();
    match shape.find("00000000-0000-0000-0000-000000000000") {
        Some(start) if word.is_ascii() => {
            format!("{}[GUID]{}", &word[..start], stable_guid(&word[start + 36..]))
        }
        _ => word.to_owned(),
    }
}
