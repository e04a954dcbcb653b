//! An account on its way to another home: what the operator chose, and what signs it in there.
//!
//! What is carried is opened from the vault, and whoever carries it must seal it again. The access token
//! stays behind where there is a refresh token: it ends within the hour, and an export would be another
//! one each hour for its sake alone.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Accounts, CONFIGURATION_WAIT, Created, Error, FILE_BYTES_MAX, File, LOCK_WAIT, Name, Secret, Subject,
    exists, file_error, operator_file, pause_file, token::Secrets,
};

/// One account, opened. It cannot print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    /// `accounts/NAME.toml`, word for word.
    file: String,
    /// What signs it in; none where no key of the home opened it.
    secrets: Option<Zeroizing<String>>,
}

impl fmt::Debug for Exported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Exported(****)")
    }
}

impl Exported {
    /// Has it what signs it in?
    #[must_use]
    pub const fn has_secrets(&self) -> bool {
        self.secrets.is_some()
    }

    /// How much text it is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.file.len().saturating_add(self.secrets.as_ref().map_or(0, |secrets| secrets.len()))
    }

    /// The type of connector that it is for.
    ///
    /// # Errors
    /// When its file is none.
    pub(crate) fn connector_type(&self, name: &Name) -> Result<String, Error> {
        Ok(self.parse(name)?.r#type)
    }

    fn parse(&self, name: &Name) -> Result<File, Error> {
        let is_long = u64::try_from(self.file.len()).is_ok_and(|length| length > FILE_BYTES_MAX);
        if is_long {
            return Err(file_error(name, format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        crate::toml_file::parse(self.file.as_bytes()).map_err(|problem| file_error(name, problem))
    }

    /// What signs it in, if it is sound.
    fn secrets(&self) -> Option<Secrets> {
        let secrets = Secrets::decode(self.secrets.as_ref()?.as_bytes())?;
        let token = secrets.token.clone().checked().ok()?;
        Some(Secrets { token, ..secrets })
    }
}

impl Accounts {
    /// Take an account along.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when its files cannot be read.
    pub(crate) fn export(&self, name: &Name) -> Result<Exported, Error> {
        let bytes = self.home.accounts().read(&operator_file(name), FILE_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(|| Error::NotFound(name.clone()))?;
        let text = String::from_utf8(bytes).map_err(|_| file_error(name, "is no text".to_owned()))?;
        let secrets = match self.safe(name).load() {
            Ok(mut secrets) => {
                if secrets.token.refresh.is_some() {
                    secrets.token.access = Secret::new(String::new());
                    (secrets.token.expires, secrets.token.lifetime) = (None, None);
                    secrets.refreshed = None;
                }
                let text = secrets.encode().ok_or_else(|| Error::Sealed(name.clone()))?;
                let text = std::str::from_utf8(&text).map_err(|_| Error::Sealed(name.clone()))?;
                Some(Zeroizing::new(text.to_owned()))
            }
            // It must sign in again, here as there.
            Err(Error::Sealed(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(Exported { file: text, secrets })
    }

    /// Is the account of this home word for word the one that was taken along?
    pub(crate) fn is_as_exported(&self, name: &Name, exported: &Exported) -> bool {
        let file = self.home.accounts().read(&operator_file(name), FILE_BYTES_MAX).ok().flatten();
        file.is_some_and(|file| file == exported.file.as_bytes())
    }

    /// Could it be put into a home? Returns whether it can sign in there.
    ///
    /// # Errors
    /// When its file is none.
    pub(crate) fn check_exported(name: &Name, exported: &Exported) -> Result<bool, Error> {
        exported.parse(name)?;
        Ok(exported.secrets().is_some())
    }

    /// Put an account into this home, sealed with its own key; one that is there is left alone.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it came without what signs it in.
    pub(crate) fn import(&self, name: &Name, exported: &Exported) -> Result<Created, Error> {
        exported.parse(name)?;
        let secrets = exported.secrets().ok_or_else(|| Error::Sealed(name.clone()))?;
        let _configuration = self.home.lock(&Subject::Configuration, CONFIGURATION_WAIT)?;
        let _account = self.home.lock(&Subject::Account(name.clone()), LOCK_WAIT)?;
        if exists(&self.home, name) {
            return Ok(Created::Existed);
        }
        // As in `add_signed_in`: it is there once its file is.
        self.home.accounts().remove(&pause_file(name))?;
        self.safe(name).store(&secrets)?;
        Ok(self.home.accounts().create(&operator_file(name), exported.file.as_bytes())?)
    }
}
