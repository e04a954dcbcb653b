//! What a sign-in needs, from the manifest of the account's connector and from what the operator set; and
//! which account a destination may use.

use std::sync::Arc;

use super::{Error, Host, Transport, endpoint};
use crate::{
    account::{Client, TokenEndpoint, TokenTransport, sign_in::Application},
    destination::ConnectorReference,
    home::Name,
    manifest::{Manifest, OAuth},
};

impl Host {
    /// May this destination use this account? It must be of the connector's type, and may write only if
    /// the account may.
    ///
    /// # Errors
    /// When it may not, or there is no such account.
    pub fn check_account(
        &self,
        destination: &Name,
        account: &Name,
        manifest: &Manifest,
        read_only: bool,
    ) -> Result<(), Error> {
        let (destination, needed) = (destination.clone(), manifest.kind.clone());
        let given = self.accounts.connector_type(account)?;
        if given != needed {
            return Err(Error::AccountType { destination, account: account.clone(), needed, given });
        }
        if !read_only && self.accounts.is_read_only(account)? {
            return Err(Error::AccountReadOnly { destination, account: account.clone(), needed });
        }
        Ok(())
    }

    /// The sign-in of an account that is to be, as this client.
    ///
    /// # Errors
    /// [`Error::NoClient`] when neither the operator nor the connector has a client.
    pub fn application(
        &self,
        account: &Name,
        manifest: &Manifest,
        oauth: &OAuth,
        client: &Client,
        read_only: bool,
    ) -> Result<Application, Error> {
        let vendors = endpoint(oauth);
        let endpoint = TokenEndpoint {
            url: client.token_url.clone().unwrap_or(vendors.url),
            client_id: client.id.clone().unwrap_or(vendors.client_id),
            client_secret: client.secret.clone(),
            auth: vendors.auth,
        };
        self.ask(account, manifest, oauth, endpoint, read_only)
    }

    /// The sign-in of an account that there is.
    ///
    /// # Errors
    /// When its connector is not installed, or its files cannot be read.
    pub fn application_of(&self, account: &Name) -> Result<Application, Error> {
        let kind = self.accounts.connector_type(account)?;
        let (_, manifest) = self.manifest(&ConnectorReference { name: kind, version: None })?;
        let Some(oauth) = &manifest.oauth else { return Err(Error::NoSignIn(manifest.label())) };
        let endpoint = self.accounts.endpoint(account, endpoint(oauth))?;
        self.ask(account, &manifest, oauth, endpoint, self.accounts.is_read_only(account)?)
    }

    fn ask(
        &self,
        account: &Name,
        manifest: &Manifest,
        oauth: &OAuth,
        endpoint: TokenEndpoint,
        read_only: bool,
    ) -> Result<Application, Error> {
        if endpoint.client_id.is_empty() {
            return Err(Error::NoClient(manifest.label()));
        }
        let scopes = if read_only { &oauth.scopes.read } else { &oauth.scopes.write };
        Ok(Application {
            account: account.clone(),
            endpoint,
            authorize: oauth.authorize.clone(),
            device: oauth.device.clone(),
            paste_redirect: oauth.paste_redirect.clone(),
            scopes: scopes.clone(),
            transport: self.transport(account),
        })
    }

    pub(super) fn transport(&self, account: &Name) -> Arc<dyn TokenTransport> {
        Arc::new(Transport { network: Arc::clone(&self.network), pool: account.as_str().into() })
    }
}
