//! Sends hostile inputs through the layer as requests. Each test name begins with the id of an
//! attack in `attacks.tsv`.
#![cfg(all(feature = "axum", any(feature = "aws_lc_rs", feature = "rust_crypto")))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

mod a_structure;
mod b_base64url;
mod c_header;
mod d_confusion;
mod e_keys;
mod f_signature;
mod g_claims;
mod h_transport;
mod i_cookie;
mod j_documents;
#[path = "../support/log.rs"]
mod log;
mod m_sender;
mod n_errors;
mod n_replaced;
mod o_dpop;
mod o_replay;
mod support;
mod t_mtls;
