//! Signature bundles: the file beside an artefact that says who vouches for it.
//!
//! The format is Sigstore's v0.3 in JSON, as cosign reads and writes it, with a key and not a
//! certificate. A bundle signs either the artefact's bytes (`cosign sign-blob`) or a statement that names
//! its digest (`cosign sign`, `cosign attest-blob`). Parsing is bounded and closed: a field that is not
//! known is an error, and what is left out is left out on purpose. Nothing here knows whom to trust.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::key::{Algorithm, KeyId, Mismatch, PublicKey};
use crate::{json, registry::Digest, shown::shown};

/// What a bundle calls itself.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What signs a statement.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// What the statement must say: that the subject is signed, and nothing else.
const PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The forms of a statement; cosign writes the older.
const STATEMENT_TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// Longest foreign text in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 120;

/// Why a bundle is of no use, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not what the format says.
    #[error("is malformed: {0}")]
    Malformed(String),
    /// Signed in a way that is not accepted here.
    #[error("{0}")]
    Refused(String),
    /// It is about something else.
    #[error("is for sha256:{found}, and the file has sha256:{actual}")]
    OtherDigest {
        /// What the bundle names.
        found: String,
        /// What it should name.
        actual: String,
    },
}

fn refused(text: impl Into<String>) -> Error {
    Error::Refused(text.into())
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    media_type: String,
    verification_material: Material,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<Envelope>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "what is known and not looked at has a name, so that what is unknown is refused"
)]
struct Material {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<Hint>,
    // A transparency log and a time stamp prove when, not who; an operator trusts the key.
    #[serde(default, skip_serializing)]
    tlog_entries: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    timestamp_verification_data: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    certificate: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    x509_certificate_chain: Option<IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hint {
    #[serde(default)]
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MessageSignature {
    #[serde(default)]
    message_digest: MessageDigest,
    signature: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageDigest {
    #[serde(default)]
    algorithm: Option<String>,
    #[serde(default)]
    digest: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    sig: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

/// A statement: of it only what decides is looked at, and only after its signature.
#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: std::collections::BTreeMap<String, String>,
}

/// A bundle of the right form. It proves nothing until [`check`](Self::check) does.
#[derive(Debug)]
pub struct Bundle {
    /// The key that it says it was made with; whoever wrote it could say anything.
    hint: Option<KeyId>,
    signed: Signed,
}

/// What the signature is over.
#[derive(Debug)]
enum Signed {
    /// The artefact.
    Bytes { digest: Option<Vec<u8>>, signature: Vec<u8> },
    /// A statement about it.
    Statement { payload: Vec<u8>, signature: Vec<u8> },
}

impl Bundle {
    /// Read a bundle of at most [`BUNDLE_BYTES_MAX`](super::BUNDLE_BYTES_MAX) bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > super::BUNDLE_BYTES_MAX {
            return Err(refused(format!("is larger than {} bytes", super::BUNDLE_BYTES_MAX)));
        }
        let malformed = |error: serde_json::Error| Error::Malformed(error.to_string());
        let file: File = serde_json::from_value(json::parse(text).map_err(malformed)?).map_err(malformed)?;
        if file.media_type != MEDIA_TYPE {
            let found = shown(&file.media_type, SHOWN_BYTES_MAX);
            return Err(refused(format!("is of the type `{found}`, and not `{MEDIA_TYPE}`")));
        }
        let material = file.verification_material;
        if material.certificate.is_some() || material.x509_certificate_chain.is_some() {
            return Err(refused("is signed with a certificate, and Wharf trusts keys only"));
        }
        let hint = material.public_key.ok_or_else(|| refused("names no public key"))?.hint;
        let hint = BASE64.decode(hint).ok().and_then(|digest| KeyId::from_hint(&digest));
        let signed = match (file.message_signature, file.dsse_envelope) {
            (Some(signature), None) => of_bytes(signature)?,
            (None, Some(envelope)) => of_statement(envelope)?,
            (None, None) => return Err(refused("holds no signature")),
            (Some(_), Some(_)) => return Err(refused("holds two signatures, and may hold one")),
        };
        Ok(Self { hint, signed })
    }

    /// The key that it was made with, as it says itself.
    #[must_use]
    pub const fn hint(&self) -> Option<&KeyId> {
        self.hint.as_ref()
    }

    /// Is it about these bytes? Of a statement that is known only after its signature was checked.
    pub(super) fn check_digest(&self, actual: &Digest) -> Result<(), Error> {
        match &self.signed {
            Signed::Bytes { digest: Some(digest), .. } => same(&hex::encode(digest), actual),
            Signed::Bytes { digest: None, .. } | Signed::Statement { .. } => Ok(()),
        }
    }

    /// Did the owner of this key sign it?
    pub(super) fn check(&self, key: &PublicKey, bytes: &[u8]) -> Result<(), Mismatch> {
        match &self.signed {
            // Without a digest only what covers the bytes themselves will do, as cosign 3 writes it.
            Signed::Bytes { digest: None, .. } if key.algorithm() != Algorithm::Ed25519 => Err(Mismatch),
            Signed::Bytes { signature, .. } => key.check(bytes, signature),
            Signed::Statement { payload, signature } => key.check(&pre_authentication(payload), signature),
        }
    }

    /// Does it, now that the signature is good, vouch for exactly this artefact?
    pub(super) fn check_statement(&self, actual: &Digest) -> Result<(), Error> {
        let Signed::Statement { payload, .. } = &self.signed else { return Ok(()) };
        let malformed = |error: serde_json::Error| Error::Malformed(format!("its statement: {error}"));
        let statement: Statement =
            serde_json::from_value(json::parse(payload).map_err(malformed)?).map_err(malformed)?;
        if !STATEMENT_TYPES.contains(&statement.kind.as_str()) {
            let found = shown(&statement.kind, SHOWN_BYTES_MAX);
            return Err(refused(format!("holds a statement of the type `{found}`, which is not in-toto's")));
        }
        if statement.predicate_type != PREDICATE_TYPE {
            let found = shown(&statement.predicate_type, SHOWN_BYTES_MAX);
            return Err(refused(format!("says `{found}`, and not `{PREDICATE_TYPE}`")));
        }
        let [subject] = statement.subject.as_slice() else {
            return Err(refused(format!(
                "is about {} subjects, and must be about one",
                statement.subject.len()
            )));
        };
        match subject.digest.iter().collect::<Vec<_>>().as_slice() {
            [(algorithm, digest)] if *algorithm == "sha256" => same(digest, actual),
            _ => Err(refused("does not name its subject by one sha256")),
        }
    }

    /// A bundle over the bytes of this digest.
    pub(super) fn write(key: &KeyId, digest: &Digest, signature: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = MessageSignature {
            message_digest: MessageDigest {
                algorithm: Some("SHA2_256".to_owned()),
                digest: Some(base64_of(digest.as_str())),
            },
            signature: BASE64.encode(signature),
        };
        File::of(key, Some(signature), None).write()
    }

    /// A bundle over a [`statement`]; the signature is over its [`pre_authentication`].
    pub(super) fn write_statement(key: &KeyId, payload: &[u8], signature: &[u8]) -> Result<Vec<u8>, Error> {
        let envelope = Envelope {
            payload: BASE64.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![EnvelopeSignature { sig: BASE64.encode(signature), keyid: None }],
        };
        File::of(key, None, Some(envelope)).write()
    }
}

impl File {
    fn of(key: &KeyId, signature: Option<MessageSignature>, envelope: Option<Envelope>) -> Self {
        Self {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: Material {
                public_key: Some(Hint { hint: base64_of(key.as_str()) }),
                tlog_entries: None,
                timestamp_verification_data: None,
                certificate: None,
                x509_certificate_chain: None,
            },
            message_signature: signature,
            dsse_envelope: envelope,
        }
    }

    fn write(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|error| Error::Malformed(error.to_string()))
    }
}

/// The statement that what has this digest is signed, as `cosign sign` makes it.
pub(super) fn statement(digest: &Digest) -> Vec<u8> {
    let [statement_type, _] = STATEMENT_TYPES;
    let statement = serde_json::json!({
        "_type": statement_type,
        "subject": [{ "digest": { "sha256": digest.as_str() } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": {},
    });
    statement.to_string().into_bytes()
}

fn base64_of(digits: &str) -> String {
    hex::decode(digits).map(|bytes| BASE64.encode(bytes)).unwrap_or_default()
}

fn same(found: &str, actual: &Digest) -> Result<(), Error> {
    if found == actual.as_str() {
        return Ok(());
    }
    Err(Error::OtherDigest { found: shown(found, SHOWN_BYTES_MAX), actual: actual.as_str().to_owned() })
}

fn of_bytes(signature: MessageSignature) -> Result<Signed, Error> {
    let MessageDigest { algorithm, digest } = signature.message_digest;
    let digest = match (algorithm.as_deref(), digest) {
        (None, None) => None,
        (Some("SHA2_256"), Some(digest)) => Some(decode("digest", &digest)?),
        (Some("SHA2_256") | None, _) => return Err(Error::Malformed("half a digest".to_owned())),
        (Some(other), _) => {
            let other = shown(other, SHOWN_BYTES_MAX);
            return Err(refused(format!("uses the digest `{other}`, and not `SHA2_256`")));
        }
    };
    Ok(Signed::Bytes { digest, signature: decode("signature", &signature.signature)? })
}

fn of_statement(envelope: Envelope) -> Result<Signed, Error> {
    if envelope.payload_type != PAYLOAD_TYPE {
        let found = shown(&envelope.payload_type, SHOWN_BYTES_MAX);
        return Err(refused(format!("carries `{found}`, and not `{PAYLOAD_TYPE}`")));
    }
    let [signature] = envelope.signatures.as_slice() else {
        let count = envelope.signatures.len();
        return Err(refused(format!("holds {count} signatures, and may hold one")));
    };
    Ok(Signed::Statement {
        payload: decode("payload", &envelope.payload)?,
        signature: decode("signature", &signature.sig)?,
    })
}

fn decode(what: &str, text: &str) -> Result<Vec<u8>, Error> {
    BASE64.decode(text).map_err(|_| Error::Malformed(format!("its {what} is not base64")))
}

/// What a signature of an envelope is over (DSSE's pre-authentication encoding): type and payload, each
/// with its length, so that neither can pass for a part of the other.
pub(super) fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}
