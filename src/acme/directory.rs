//! The directory (RFC 8555 §7.1.1): where the CA's resources are. Serializable, so that a run can begin with the last
//! one's copy and save a round trip; members that we do not know are ignored.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The CA's resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Where nonces come from (§7.2).
    pub new_nonce: String,
    /// Where accounts are registered and found (§7.3).
    pub new_account: String,
    /// Where orders are placed (§7.4).
    pub new_order: String,
    /// Where certificates are revoked (§7.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_cert: Option<String>,
    /// Where the account key is changed (§7.3.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_change: Option<String>,
    /// The base of renewal information (RFC 9773 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<String>,
    /// What the CA says about itself.
    #[serde(default)]
    pub meta: Meta,
}

/// RFC 8555 §7.1.1, the `meta` member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Profiles that an order may ask for, with what to read about each (draft-ietf-acme-profiles §3).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, String>,
    /// The terms to agree to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<String>,
    /// A page about the CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// The issuer names that CAA records (RFC 8659) must carry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caa_identities: Vec<String>,
    /// newAccount needs an external account binding (§7.3.4).
    pub external_account_required: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::Directory;

    #[test]
    fn a_directory_survives_the_disk_and_unknown_members_are_ignored() {
        let text = r#"{"newNonce":"https://ca/n","newAccount":"https://ca/a","newOrder":"https://ca/o","fA1x":"https://x",
            "meta":{"termsOfService":"https://ca/terms","profiles":{"classic":"https://ca/p"},"caaIdentities":["ca.example"]}}"#;
        let directory: Directory = serde_json::from_str(text).unwrap();
        assert_eq!(directory.meta.caa_identities, ["ca.example"]);
        assert!(!directory.meta.external_account_required);
        let saved = serde_json::to_string(&directory).unwrap();
        assert_eq!(serde_json::from_str::<Directory>(&saved).unwrap(), directory);
    }
}
