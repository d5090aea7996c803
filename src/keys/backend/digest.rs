//! Digests: SHA-1 of certificates alone, where it names a key and protects nothing. `None` without
//! a back-end.

#[cfg(feature = "aws_lc_rs")]
mod library {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

    pub(crate) fn sha1(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec())
    }

    pub(crate) fn sha256(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(digest(&SHA256, bytes).as_ref().to_vec())
    }
}

#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
mod library {
    use sha1::Sha1;
    use sha2::{Digest, Sha256};

    pub(crate) fn sha1(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(Sha1::digest(bytes).to_vec())
    }

    pub(crate) fn sha256(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(Sha256::digest(bytes).to_vec())
    }
}

#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod library {
    pub(crate) fn sha1(_: &[u8]) -> Option<Vec<u8>> {
        None
    }

    pub(crate) fn sha256(_: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

pub(crate) use library::{sha1, sha256};
