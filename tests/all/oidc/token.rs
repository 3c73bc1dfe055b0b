//! Whether an ID token is believed, and what is read from it.

use super::{ada, refused, unusable};
use crate::support::now;
use crate::support::provider::{CLIENT_ID, CLIENT_SECRET, Provider, Seal, Token};
use crate::support::provider_key::Algorithm;
use serde_json::{Value, json};

/// Asserts that an ID token with this shape is refused.
async fn refuses(because: &str, shape: impl Fn(&mut Token) + Send + 'static) {
    let provider = Provider::start().await;
    provider.shape(shape);
    refused(provider.sign_in(&provider.client()).await, because);
}

/// Asserts that an ID token with this shape is taken.
async fn takes(shape: impl Fn(&mut Token) + Send + 'static) {
    let provider = Provider::start().await;
    provider.shape(shape);
    assert_eq!(provider.sign_in(&provider.client()).await.unwrap(), ada(&provider));
}

#[tokio::test]
async fn what_only_the_provider_can_sign_is_believed_and_nothing_else() {
    refuses("No signature", |token| {
        token.header["alg"] = json!("none");
        token.seal = Seal::Nothing;
    })
    .await;
    refuses("Disallowed", |token| {
        token.header["alg"] = json!("HS256");
        token.seal = Seal::Hmac(CLIENT_SECRET.as_bytes().to_vec());
    })
    .await;
    refuses("Signature verification failed", |token| token.seal = Seal::Stolen).await;
    refuses("Signature verification failed", |token| token.seal = Seal::Nothing).await;
    refuses("Signature verification failed", |token| {
        token.header["alg"] = json!("ES384");
    })
    .await;
    refuses("JWT type", |token| token.header["typ"] = json!("at+jwt")).await;
    refuses("critical", |token| token.header["crit"] = json!(["exp"])).await;
}

#[tokio::test]
async fn other_signatures_are_refused_though_they_are_right() {
    let provider = Provider::signing(Algorithm::Rs512).await;
    refused(
        provider.sign_in(&provider.client()).await,
        "Disallowed signature algorithm",
    );
}

#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
    let provider = Provider::signing(Algorithm::Rs256).await;
    let public = provider.change(|it| it.published[0].clone());
    let forms = [
        public.to_string().into_bytes(),
        public["n"].as_str().unwrap().as_bytes().to_vec(),
    ];
    for secret in forms {
        provider.shape(move |token| {
            token.header["alg"] = json!("HS256");
            token.seal = Seal::Hmac(secret.clone());
        });
        refused(provider.sign_in(&provider.client()).await, "Disallowed");
    }
}

#[tokio::test]
async fn a_token_is_for_this_console_from_this_provider_and_for_this_browser() {
    refuses("Invalid issuer", |token| {
        token.claims["iss"] = json!("https://evil.example.com");
    })
    .await;
    refuses("Invalid issuer", |token| {
        token.claims["iss"] = json!(format!("{}/", token.claims["iss"].as_str().unwrap()));
    })
    .await;
    refuses("Invalid nonce", |token| token.claims["nonce"] = json!("another")).await;
    refuses("missing nonce", |token| token.claims["nonce"] = Value::Null).await;
    refuses("`at_hash`", |token| {
        token.claims["at_hash"] = json!(Algorithm::Es256.half_hash("another"));
    })
    .await;
    refuses("the subject", |token| token.claims["sub"] = json!("")).await;
    refuses("the subject", |token| token.claims["sub"] = json!("a\u{0}b")).await;
    refuses("the subject", |token| token.claims["sub"] = json!("x".repeat(256))).await;
    takes(|token| token.claims["at_hash"] = Value::Null).await;
}

#[tokio::test]
async fn the_audience_is_this_console() {
    for audience in [
        json!("another"),
        json!(["another"]),
        json!([]),
        json!(["another", "third"]),
    ] {
        refuses("Invalid audience", move |token| token.claims["aud"] = audience.clone()).await;
    }
    refuses("no authorized party", |token| {
        token.claims["aud"] = json!([CLIENT_ID, "another"]);
    })
    .await;
    for audience in [json!(CLIENT_ID), json!([CLIENT_ID, "another"])] {
        let several = audience.clone();
        refuses("somebody else", move |token| {
            token.claims["aud"] = several.clone();
            token.claims["azp"] = json!("another");
        })
        .await;
        takes(move |token| {
            token.claims["aud"] = audience.clone();
            token.claims["azp"] = json!(CLIENT_ID);
        })
        .await;
    }
    takes(|token| token.claims["aud"] = json!([CLIENT_ID])).await;
}

/// Each time in seconds from now: just outside the minute between two clocks, and well within it.
#[tokio::test]
async fn a_token_is_of_now_give_or_take_a_minute() {
    let at = |name: &'static str, offset: i64| {
        move |token: &mut Token| token.claims[name] = json!(now().checked_add_signed(offset).unwrap())
    };
    refuses("Expired", at("exp", -65)).await;
    refuses("not valid yet", at("nbf", 70)).await;
    refuses("in the future", at("iat", 70)).await;
    refuses("more than ten minutes", at("iat", -665)).await;
    refuses("no time", |token| token.claims["nbf"] = json!("tomorrow")).await;
    takes(at("exp", -50)).await;
    takes(at("nbf", 50)).await;
    takes(at("iat", 50)).await;
    takes(at("iat", -650)).await;
}

#[tokio::test]
async fn groups_come_from_the_id_token_first() {
    for (claim, groups) in [
        (json!([]), vec![]),
        (json!("deployers"), vec!["deployers"]),
        (json!(["a", "b"]), vec!["a", "b"]),
    ] {
        let provider = Provider::start().await;
        provider.shape(move |token| token.claims["groups"] = claim.clone());
        assert_eq!(provider.sign_in(&provider.client()).await.unwrap().groups, groups);
        assert_eq!(provider.calls("/userinfo"), 0);
    }
    for claim in [json!(7), json!({ "a": "b" }), json!(["a", 7])] {
        let provider = Provider::start().await;
        provider.shape(move |token| token.claims["groups"] = claim.clone());
        unusable(provider.sign_in(&provider.client()).await, "`groups`");
    }
}

/// Many providers keep ID tokens short, and tell the rest at the userinfo endpoint.
#[tokio::test]
async fn what_the_id_token_leaves_out_userinfo_says() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    provider.shape(|token| {
        for claim in ["groups", "preferred_username", "email"] {
            token.claims.as_object_mut().unwrap().remove(claim);
        }
    });
    provider
        .change(|it| it.userinfo = json!({ "sub": "248289761001", "groups": "deployers", "email": "ada@b.example" }));
    let identity = provider.sign_in(&oidc).await.unwrap();
    assert_eq!(
        (identity.name.as_str(), identity.groups),
        ("ada@b.example", vec!["deployers".to_owned()])
    );
    provider.change(|it| it.userinfo = json!({ "sub": "248289761001" }));
    let identity = provider.sign_in(&oidc).await.unwrap();
    assert_eq!((identity.name.as_str(), identity.groups), ("248289761001", Vec::new()));
    provider.change(|it| it.userinfo = json!({ "sub": "another", "groups": ["admins"] }));
    refused(provider.sign_in(&oidc).await, "Invalid subject");
    provider.change(|it| it.access_token = "no\nheader".to_owned());
    unusable(provider.sign_in(&oidc).await, "fits into no header");
    provider.change(|it| it.document = json!({ "userinfo_endpoint": null }));
    assert_eq!(
        provider.sign_in(&provider.client()).await.unwrap().groups,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_name_is_for_people() {
    for (username, email, name) in [
        (json!("ada"), json!("ada@example.com"), "ada"),
        (json!(" \u{7}"), json!("ada@example.com"), "ada@example.com"),
        (Value::Null, Value::Null, "248289761001"),
        (json!("a\nd\u{1b}a"), Value::Null, "ada"),
    ] {
        let provider = Provider::start().await;
        provider.shape(move |token| {
            token.claims["preferred_username"] = username.clone();
            token.claims["email"] = email.clone();
        });
        assert_eq!(provider.sign_in(&provider.client()).await.unwrap().name, name);
    }
}
