//! Hostile inputs, each through the layer as a request would bring it. The name of a test begins with the id of the
//! attack it stands for.
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
#[path = "../support/log.rs"]
mod log;
mod m_sender;
mod n_errors;
mod o_second_look;
mod support;
