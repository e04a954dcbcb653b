//! Debian's `docker-registry`, on a port of its own, with its blobs in a test's folder.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// How long it may take to listen; a busy machine takes seconds.
const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// The registry. It ends with this value.
#[derive(Debug)]
pub struct DockerRegistry {
    child: Child,
    host: String,
}

impl DockerRegistry {
    /// Start one, with everything that it keeps in the shell's folder.
    #[must_use]
    pub fn start(shell: &Shell) -> Self {
        // Nobody else takes a port that was just given back, as far as ports are drawn.
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let folder = shell.room("registry");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{folder}'}}}}\n\
             http: {{addr: '{host}'}}\n"
        );
        let config = shell.file("registry.yml", config);
        let mut command = Command::new(foreign_program("docker-registry/usr/bin/docker-registry"));
        command.env_clear().args(["serve", &config]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let registry = Self { child, host };
        let until = Instant::now() + STARTED_WITHIN;
        while TcpStream::connect(&registry.host).is_err() {
            assert!(Instant::now() < until, "docker-registry does not listen on {}", registry.host);
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
