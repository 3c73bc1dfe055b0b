//! What a signed callback must show: Standard Webhooks 1.0.0.

use raxx_console::domain::Timestamp;
use raxx_console::server::signature::{Keys, Secret, Signed, check_envelope};

/// The secret of the specification's own example.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn secret() -> Secret {
    SECRET.parse().unwrap()
}

#[test]
fn the_vector_of_standard_webhooks_holds() {
    let (id, timestamp, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
    let signatures = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(secret().sign(id, timestamp, body), signatures);
    let keys = Keys {
        current: secret(),
        previous: None,
    };
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
    let signed = Signed {
        id,
        timestamp,
        signatures,
    };
    assert!(keys.verify(signed, body, at(1_614_265_330)).is_ok());
    assert!(keys.verify(signed, body, at(1_614_265_330 + 300)).is_ok());
    assert!(keys.verify(signed, body, at(1_614_265_330 + 301)).is_err());
    assert!(keys.verify(signed, body, at(1_614_265_330 - 301)).is_err());
    assert!(
        keys.verify(signed, br#"{"test": 2432232315}"#, at(1_614_265_330))
            .is_err()
    );
    assert!(
        keys.verify(Signed { id: "other", ..signed }, body, at(1_614_265_330))
            .is_err()
    );
}

#[test]
fn a_secret_is_24_to_64_bytes_and_shows_nothing() {
    for text in [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_c2hvcnQ=",
        "whsec_!!!!",
        &format!("whsec_{}", "A".repeat(92)),
    ] {
        assert!(text.parse::<Secret>().is_err(), "{text}");
    }
    assert!(!format!("{:?}", secret()).contains("MfKQ"));
    let made = Secret::generate().unwrap();
    assert!(made.expose().parse::<Secret>().is_ok());
}

#[test]
fn the_headers_are_in_form_and_in_time() {
    let now = Timestamp::from_millis(1_000_000_000);
    let check = |id: &str, timestamp: &str| check_envelope(id, timestamp, now).is_ok();
    assert!(check("aZ09_-", "1000000") && check(&"x".repeat(128), "999700") && check("d", "1000300"));
    for id in ["", "a.b", "a b", "ä", "a\n", &"x".repeat(129)] {
        assert!(!check(id, "1000000"), "{id:?}");
    }
    for timestamp in [
        "",
        "+1000000",
        " 1000000",
        "1000000.0",
        "999699",
        "1000301",
        "99999999999999999999",
    ] {
        assert!(!check("d", timestamp), "{timestamp:?}");
    }
}

#[test]
fn four_signatures_may_be_shown_and_either_secret_signs() {
    let keys = Keys {
        current: Secret::generate().unwrap(),
        previous: Some(secret()),
    };
    assert_eq!(keys.texts().collect::<Vec<_>>(), [keys.current.expose(), SECRET]);
    let verify = |signatures: &str| {
        let signed = Signed {
            id: "d",
            timestamp: "1000000",
            signatures,
        };
        keys.verify(signed, b"{}", Timestamp::from_millis(1_000_000_000))
            .is_ok()
    };
    for key in [&keys.current, &secret()] {
        let good = key.sign("d", "1000000", b"{}");
        assert!(verify(&good) && verify(&format!("v1,AAAA  v2,xyz v1, {good}")));
        assert!(!verify(&format!("v1,AAAA v2,xyz v1, v1,BBBB {good}")), "that is five");
        assert!(!verify(good.trim_start_matches("v1,")));
    }
    assert!(!verify("") && !verify(&Secret::generate().unwrap().sign("d", "1000000", b"{}")));
    assert_eq!(
        format!("{keys:?}"),
        "Keys { current: Secret(…), previous: Some(Secret(…)) }"
    );
}
