//! The one key in a PEM text (RFC 7468).

use super::encoding::whole;
use super::error::KeyError;

/// A decoded PEM block.
pub(super) struct Pem<'a> {
    label: &'a [u8],
    pub(super) der: Vec<u8>,
}

impl<'a> Pem<'a> {
    /// Decodes the only block. `EC PARAMETERS` before a key are skipped: the key names its curve.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, KeyError> {
        const BEGIN: &[u8] = b"-----BEGIN ";
        const PROC_TYPE: &[u8] = b"Proc-Type: 4,ENCRYPTED";

        if memchr::memmem::find(text, b"\\n").is_some() {
            return Err(KeyError::LiteralLineBreaks);
        }
        let mut only = None;
        for begin in memchr::memmem::find_iter(text, BEGIN) {
            let block = text.get(begin.saturating_add(BEGIN.len())..);
            let (label, rest) = split_at_dashes(block.unwrap_or_default())?;
            if label != b"EC PARAMETERS" && only.replace((label, rest)).is_some() {
                return Err(KeyError::MultipleKeys);
            }
        }
        let (label, rest) = only.ok_or(KeyError::Unreadable)?;
        let (body, _) = split_at_dashes(rest)?;
        let is_encrypted = memchr::memmem::find(body, PROC_TYPE).is_some();
        if is_encrypted || label == b"ENCRYPTED PRIVATE KEY" {
            return Err(KeyError::Encrypted);
        }
        let body: Vec<u8> = body
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        let der = base64_simd::STANDARD.decode_to_vec(body);
        let der = der.map_err(|_| KeyError::Unreadable)?;
        whole(&der)?;
        Ok(Self { label, der })
    }

    /// Whether the label is that of a private key.
    pub(super) fn is_private(&self) -> bool {
        self.label.ends_with(b"PRIVATE KEY")
    }

    /// Whether the label is `EC PRIVATE KEY` (RFC 5915 §4).
    pub(super) fn is_sec1(&self) -> bool {
        self.label == b"EC PRIVATE KEY"
    }

    /// Whether the label is that of a public key or a certificate.
    pub(super) fn is_public(&self) -> bool {
        let labels: [&[u8]; 3] = [b"PUBLIC KEY", b"RSA PUBLIC KEY", b"CERTIFICATE"];
        labels.contains(&self.label)
    }
}

fn split_at_dashes(text: &[u8]) -> Result<(&[u8], &[u8]), KeyError> {
    const DASHES: &[u8] = b"-----";

    let at = memchr::memmem::find(text, DASHES).ok_or(KeyError::Unreadable)?;
    let (before, after) = text.split_at_checked(at).ok_or(KeyError::Unreadable)?;
    Ok((before, after.get(DASHES.len()..).unwrap_or_default()))
}
