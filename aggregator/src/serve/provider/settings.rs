//! What the operator says of the provider of identities, and the check of it. Must not know: files, networks.

use serde::{Deserialize, Serialize};

/// `[provider]` of `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How people call it: it stands on the button.
    pub name: String,
    /// `https://`, exactly as the provider calls itself.
    pub issuer: String,
    /// How the provider calls this centre. Where it asks for a way back: the page's address, and `provider/return` behind it.
    pub client_id: String,
    /// A file with the secret that it gave this centre. Default: none, PKCE alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
    /// Roots that its server's certificate must come from, PEM. Default: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

impl Settings {
    /// What is wrong with it, if anything.
    #[must_use]
    pub fn complaint(&self) -> Option<&'static str> {
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
            return Some("name: one line of 1 to 40 characters");
        }
        if !self.issuer.starts_with("https://") || self.issuer.contains(['?', '#']) {
            return Some("issuer: must begin with https://, without query");
        }
        self.client_id
            .is_empty()
            .then_some("client_id: how the provider calls this centre")
    }
}
