//! Encodings that only a lenient base64url decoder accepts.

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, header::COOKIE};
use serde_json::{Value, json};
use tower_jwt_auth::{TokenSource, Verifier, VerifyErrorKind, VerifyErrorKind::*};

use crate::support::{
    Answer, SECRET, Signer, app, base64url, bearer, carried, carrier, claims, clock, forge,
    forge_segments, good, hs256, layer, request, send,
};

const HEADER: &str = r#"{"alg":"HS256"}"#;

/// Which segment of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Segment {
    Header,
    Payload,
    Signature,
}

impl Segment {
    const ALL: [Self; 3] = [Self::Header, Self::Payload, Self::Signature];

    /// What its refusal is called. A header that is no base64url is a malformed header.
    fn refusal(self) -> VerifyErrorKind {
        match self {
            Self::Header => MalformedHeader,
            Self::Payload | Self::Signature => Malformed,
        }
    }
}

/// `token` with one segment changed. A changed header or payload is signed again, so that only the
/// encoding is wrong.
fn with(token: &str, segment: Segment, change: impl FnOnce(&str) -> String) -> String {
    let segments: Vec<_> = token.split('.').collect();
    let (header, payload, signature) = (segments[0], segments[1], segments[2]);
    let hmac = Signer::hmac(SECRET);
    match segment {
        Segment::Header => forge_segments(&change(header), payload, &hmac),
        Segment::Payload => forge_segments(header, &change(payload), &hmac),
        Segment::Signature => format!("{header}.{payload}.{}", change(signature)),
    }
}

fn part(token: &str, segment: Segment) -> &str {
    token.split('.').nth(segment as usize).unwrap()
}

/// A valid token whose header and payload have these lengths modulo three. Blanks at the end of
/// JSON pad them.
fn of_lengths(header: usize, payload: usize) -> String {
    let filled = |mut json: String, length| {
        while json.len() % 3 != length {
            json.push(' ');
        }
        json
    };
    forge(
        filled(HEADER.to_owned(), header),
        filled(claims(json!({})), payload),
        &Signer::hmac(SECRET),
    )
}

#[tokio::test]
async fn b01_padding() {
    let app = app(layer().sources([TokenSource::bearer(), carrier()]));
    for rest in 0..3 {
        let good = of_lengths(rest, rest);
        bearer(&app, &good).await.accepted();
        for segment in Segment::ALL {
            // One of them is what RFC 4648 §3.2 would pad with.
            for padding in ["=", "==", "===", "===="] {
                let padded = with(&good, segment, |part| format!("{part}{padding}"));
                bearer(&app, &padded).await.refused(segment.refusal());
            }
            for padding in ["%3D", "%3D%3D"] {
                let padded = with(&good, segment, |part| format!("{part}{padding}"));
                carried(&app, &*padded).await.refused(segment.refusal());
                bearer(&app, &padded).await.malformed();
            }
            let padded = with(&good, segment, |part| format!("={part}"));
            bearer(&app, &padded).await.refused(segment.refusal());
        }
        let padded = good.replace('.', "=.") + "=";
        bearer(&app, &padded).await.refused(MalformedHeader);
    }
}

/// A token in whose `segment` both characters occur that the two alphabets do not share.
fn with_both_specials(segment: Segment) -> String {
    (0..)
        .map(|number| {
            let text = format!("{}>?>?~~>?", " ".repeat(number % 3));
            let header = json!({ "alg": "HS256", "x": text });
            let payload = claims(json!({ "x": text, "number": number }));
            forge(header.to_string(), payload, &Signer::hmac(SECRET))
        })
        .find(|token| {
            ['-', '_']
                .iter()
                .all(|special| part(token, segment).contains(*special))
        })
        .unwrap()
}

#[tokio::test]
async fn b02_the_standard_alphabet() {
    let app = app(layer());
    for segment in Segment::ALL {
        let good = with_both_specials(segment);
        bearer(&app, &good).await.accepted();
        let changes: [fn(&str) -> String; 3] = [
            |part| part.replace('-', "+"),
            |part| part.replace('_', "/"),
            |part| part.replace('-', "+").replace('_', "/"),
        ];
        for change in changes {
            let token = with(&good, segment, change);
            assert_ne!(token, good);
            bearer(&app, &token).await.refused(segment.refusal());
        }
    }
}

/// `filler` before, within and behind each segment of a good token.
fn filled(filler: &str) -> Vec<(Segment, String)> {
    let good = good();
    let mut tokens = Vec::new();
    for segment in Segment::ALL {
        let middle = part(&good, segment).len() / 2;
        for at in [0, 4, middle, part(&good, segment).len()] {
            let change = |part: &str| format!("{}{filler}{}", &part[..at], &part[at..]);
            tokens.push((segment, with(&good, segment, change)));
        }
    }
    tokens
}

async fn by_cookie(app: &axum::Router, token: &str) -> Answer {
    let request = request().header(COOKIE, format!("token={token}"));
    send(app, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn b03_white_space_and_nul() {
    let carrying = app(layer().sources([carrier()]));
    let cookie = app(layer().sources([TokenSource::cookie("token")]));
    let bare = app(layer());
    let verifier = Verifier::new(hs256()).clock(clock());
    carried(&carrying, good()).await.accepted();
    by_cookie(&cookie, &good()).await.accepted();
    bearer(&bare, &good()).await.accepted();
    assert!(verifier.verify(good()).is_ok());

    for filler in [
        " ", "\t", "\r", "\n", "\0", "\r\n", "\r\n ", "    ", "\u{b}", "\u{c}",
    ] {
        for (segment, token) in filled(filler) {
            carried(&carrying, &*token).await.refused(segment.refusal());
            let refused = verifier.verify(&token).unwrap_err();
            assert_eq!(refused.kind(), segment.refusal(), "{token:?}");
            // What these headers can hold. Among bearer credentials white space is H04's.
            if filler == " " || filler == "\t" {
                by_cookie(&cookie, &token).await.refused(segment.refusal());
            }
            if filler == "\t" {
                bearer(&bare, &token).await.malformed();
            }
        }
    }
}

/// Characters that some libraries trim, skip or fold.
#[tokio::test]
async fn b03_characters_beyond_ascii() {
    let carrying = app(layer().sources([carrier()]));
    let cookie = app(layer().sources([TokenSource::cookie("token")]));
    let bare = app(layer());
    carried(&carrying, good()).await.accepted();
    for filler in [
        "\u{a0}",
        "\u{85}",
        "\u{200b}",
        "\u{2028}",
        "\u{3000}",
        "\u{feff}",
        "\u{ad}",
        "\u{ff21}",
        "\u{7f}",
        "%20",
        "%0A",
        "\\n",
        "\\",
        "~",
        "*",
        ",",
        "\"",
        "\u{1b}[2J",
    ] {
        for (segment, token) in filled(filler) {
            carried(&carrying, &*token).await.refused(segment.refusal());
        }
    }
    // Bytes that are no text at all.
    for byte in [0x80, 0xa0, 0xc0, 0xfe, 0xff] {
        for segment in Segment::ALL {
            let good = good();
            let mut segments: Vec<_> = good
                .split('.')
                .map(|part| part.as_bytes().to_vec())
                .collect();
            segments[segment as usize].push(byte);
            if segment != Segment::Signature {
                let signature = Signer::hmac(SECRET).sign(&segments[..2].join(&b'.'));
                segments[2] = base64url(signature).into_bytes();
            }
            let token = segments.join(&b'.');
            let send_in = async |app: &axum::Router, name: HeaderName, before: &[u8]| {
                let value = HeaderValue::from_bytes(&[before, &token].concat()).unwrap();
                let request = request().header(name, value);
                send(app, request.body(Body::empty()).unwrap()).await
            };
            let answer = send_in(&cookie, COOKIE, b"token=").await;
            answer.refused(segment.refusal());
            send_in(&bare, AUTHORIZATION, b"Bearer ").await.malformed();
        }
    }
}

#[tokio::test]
async fn b05_a_digit_too_many() {
    let app = app(layer());
    // Whole groups of four, and one digit more, which a lenient decoder drops.
    let good = of_lengths(0, 0);
    bearer(&app, &good).await.accepted();
    for segment in [Segment::Header, Segment::Payload] {
        for digit in ["A", "B", "_"] {
            let token = with(&good, segment, |part| {
                assert_eq!(part.len() % 4, 0);
                format!("{part}{digit}")
            });
            bearer(&app, &token).await.refused(segment.refusal());
        }
        let token = with(&good, segment, |_| "A".to_owned());
        bearer(&app, &token).await.refused(segment.refusal());
    }
    // The signature of HS256 has 43 digits: two more, of which one is dropped, or one alone.
    for change in [
        |part: &str| format!("{part}AA"),
        |part: &str| part[..41].to_owned(),
        |_: &str| "A".to_owned(),
    ] {
        let token = with(&good, Segment::Signature, change);
        assert_eq!(part(&token, Segment::Signature).len() % 4, 1);
        bearer(&app, &token).await.refused(Malformed);
    }
}

/// The last digit's unused bits: several texts that a lenient decoder takes for the same bytes.
#[tokio::test]
async fn b05_stray_bits() {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let app = app(layer());
    for (rest, unused) in [(1, 4), (2, 2)] {
        let good = of_lengths(rest, rest);
        let accepted: Value = bearer(&app, &good).await.accepted();
        assert_eq!(accepted["sub"], "alice");
        for segment in Segment::ALL {
            // 32 bytes of signature leave two bits, whatever the payload.
            let unused = if segment == Segment::Signature {
                2
            } else {
                unused
            };
            for stray in 1..1 << unused {
                let token = with(&good, segment, |part| {
                    let (before, last) = part.split_at(part.len() - 1);
                    let last = DIGITS.find(last).unwrap();
                    let changed = char::from(DIGITS.as_bytes()[last + stray]);
                    format!("{before}{changed}")
                });
                assert_ne!(token, good);
                bearer(&app, &token).await.refused(segment.refusal());
            }
        }
    }
}

/// Nothing is decoded twice.
#[tokio::test]
async fn b05_encoded_twice() {
    let app = app(layer());
    bearer(&app, &good()).await.accepted();
    for (segment, expected) in [
        (Segment::Header, MalformedHeader),
        (Segment::Payload, MalformedClaims),
        (Segment::Signature, BadSignature),
    ] {
        let token = with(&good(), segment, |part| base64url(part));
        bearer(&app, &token).await.refused(expected);
    }
}
