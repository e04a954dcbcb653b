//! A browser, as far as a sign-in needs one; and the command that waits for its answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStderr, Stdio};

use super::{Ran, Shell};

/// What a browser got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// Where it is sent; empty when it is not.
    pub location: String,
    /// What it shows.
    pub text: String,
}

impl Page {
    /// The code that it shows, as Dropbox does.
    #[must_use]
    pub fn code(&self) -> &str {
        self.text.split("<code>").nth(1).unwrap().split("</code>").next().unwrap()
    }
}

/// A command that waits for somebody to sign in.
#[derive(Debug)]
pub struct SigningIn {
    child: Child,
    stderr: BufReader<ChildStderr>,
    told: String,
    /// The page to open.
    pub url: String,
    /// What to type there, with a device code.
    pub code: Option<String>,
}

impl Shell {
    /// Open an address, and follow nothing.
    #[must_use]
    pub fn browse(&self, url: &str) -> Page {
        self.block_on(async {
            // Another test of this process may have installed it already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let ca = reqwest::Certificate::from_pem(self.cloud.ca_pem().as_bytes()).unwrap();
            let mut client = reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .tls_certs_only([ca]);
            for line in self.cloud.connect_to() {
                client = client.resolve(line.split(':').next().unwrap(), self.cloud.tls_addr());
            }
            let reply = client.build().unwrap().get(url).send().await.unwrap();
            let location = reply.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
            let status = reply.status().as_u16();
            let text = String::from_utf8(reply.bytes().await.unwrap().to_vec()).unwrap();
            Page { status, location: location.unwrap_or_default(), text }
        })
    }

    /// Start a command that signs in, and read what is to be opened.
    #[must_use]
    #[expect(
        clippy::zombie_processes,
        reason = "what is returned is waited for; a test that panics ends them all"
    )]
    pub fn signing_in(&self, words: &[&str]) -> SigningIn {
        let mut command = self.command(words);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut told, mut url) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it asked nothing:\n{told}");
            told.push_str(&line);
            if let Some(page) = line.trim_end().strip_prefix("  ") {
                page.clone_into(&mut url);
            } else if !url.is_empty() {
                let code = line.strip_prefix("and enter the code `");
                let code = code.map(|rest| rest.split('`').next().unwrap().to_owned());
                return SigningIn { child, stderr, told, url, code };
            }
        }
    }
}

impl SigningIn {
    /// Its process.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Paste this, and wait for the end of the command.
    pub fn answer(mut self, shell: &Shell, text: &str) -> Ran {
        let mut stdin = self.child.stdin.take().unwrap();
        writeln!(stdin, "{text}").unwrap();
        drop(stdin);
        self.end(shell)
    }

    /// Wait for the end of the command.
    pub fn end(mut self, shell: &Shell) -> Ran {
        drop(self.child.stdin.take());
        self.stderr.read_to_string(&mut self.told).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stderr = self.told.into_bytes();
        shell.ran(&output)
    }
}
