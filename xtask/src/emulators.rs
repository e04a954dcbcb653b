//! The emulators, started for a demo or a bench and stopped with it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Both services, under their real names, on ports of this machine.
#[derive(Debug)]
pub(crate) struct Emulators {
    child: Child,
    /// They stop when this closes.
    stdin: Option<ChildStdin>,
    ready: Value,
}

impl Emulators {
    pub(crate) fn start(cloud: &Path, folder: &Path, more: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut command = Command::new(cloud);
        command.arg("serve").arg("--data").arg(folder.join("data"));
        command.arg("--ca-out").arg(folder.join("ca.pem")).arg("--token-dir").arg(folder.join("tokens"));
        let mut child = command
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the emulators")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("the emulators have no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("the emulators did not start")?;
        let ready = serde_json::from_str(&line).with_context(|| format!("the emulators said {line:?}"))?;
        Ok(Self { child, stdin, ready })
    }

    /// The arguments that make `wharf` reach them under the services' real names.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let pairs = self.ready.get("connect_to").and_then(Value::as_array).cloned().unwrap_or_default();
        let pairs = pairs
            .iter()
            .filter_map(Value::as_str)
            .flat_map(|pair| ["--connect-to".to_owned(), pair.to_owned()]);
        let ca = self.ready.get("ca").and_then(Value::as_str).unwrap_or_default();
        pairs.chain(["--ca-cert".to_owned(), ca.to_owned()]).collect()
    }

    /// A token of an account that they know, as rclone keeps it.
    pub(crate) fn token(&self, service: &str) -> Result<PathBuf> {
        let tokens = self.ready.get("tokens").and_then(|tokens| tokens.get(service));
        let file = tokens
            .and_then(Value::as_str)
            .with_context(|| format!("the emulators gave no token for {service}"))?;
        Ok(file.into())
    }
}

impl Drop for Emulators {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends by itself when its input closes; this is for one that hangs.
        for _ in 0..50 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
