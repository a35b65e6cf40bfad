//! Accounts and their keys.

use crate::ca::Response;
use crate::{Scene, at_first, config, for_names, names, whole, within};
use danesmith::acme::{AccountKey, AccountStatus, Ca, Client, Revocation, RevocationReason};
use danesmith::error::Kind;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

#[test]
fn new_terms_are_shown_to_the_person_who_must_agree() {
    within(async {
        let scene = Scene::registered().await;
        let refused = Response::problem(403, "userActionRequired", "terms have changed")
            .header("Link", r#"<https://ca.example/terms/7>;rel="terms-of-service""#);
        scene.ca.script(at_first("/order", 1, refused));
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert_eq!(error.kind, Kind::Credentials);
        assert!(whole(&error).contains("https://ca.example/terms/7"), "{}", whole(&error));
    });
}

#[test]
fn an_existing_account_is_found_by_its_key_and_never_registered_by_the_way() {
    within(async {
        let (key, pem) = AccountKey::generate().unwrap();
        let scene = Scene::new(key).await;
        assert_eq!(scene.client.find().await.unwrap(), None);
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert_eq!(error.kind, Kind::Credentials);
        let contact = ["mailto:a@a.example".to_string()];
        let account = scene.client.register(&contact, true, None).await.unwrap();
        assert_eq!((account.status, account.contact.as_slice()), (AccountStatus::Valid, &contact[..]));
        let key = AccountKey::from_pem(pem.as_bytes()).unwrap();
        let later = Client::new(config(&scene.ca, key, scene.clock.clone())).unwrap();
        assert_eq!(later.account_url(), None);
        later.new_order(for_names(&names())).await.unwrap();
        assert_eq!(later.account_url(), Some(account.url.clone()));
        assert_eq!(later.account().await.unwrap().url, account.url);
    });
}

#[test]
fn terms_and_binding_are_demanded_before_anything_is_sent() {
    within(async {
        let scene = Scene::new(AccountKey::generate().unwrap().0).await;
        let error = scene.client.register(&[], false, None).await.unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        assert!(error.cause.contains(&scene.url("/terms")), "{}", error.cause);
        let scene = Scene::new(AccountKey::generate().unwrap().0).await;
        scene.ca.demand_eab("kid-1", b"a MAC key from the CA's website");
        let error = scene.client.register(&[], true, None).await.unwrap_err();
        assert_eq!((error.kind, scene.ca.count("POST")), (Kind::Config, 0));
        let error = scene.client.register(&[], true, Some(("kid-1", b"wrong"))).await.unwrap_err();
        assert_eq!(error.kind, Kind::Credentials);
        scene.client.register(&[], true, Some(("kid-1", b"a MAC key from the CA's website"))).await.unwrap();
    });
}

#[test]
fn keys_of_every_kind_and_file_format_sign_so_that_the_ca_agrees() {
    within(async {
        let keys = [
            ("ES256", &include_bytes!("keys/p256-sec1.pem")[..]),
            ("ES256", include_bytes!("keys/p256-params.pem")),
            ("ES384", include_bytes!("keys/p384.pem")),
            ("ES384", include_bytes!("keys/p384-sec1.pem")),
            ("RS256", include_bytes!("keys/rsa2048.pem")),
            ("RS256", include_bytes!("keys/rsa2048-pkcs1.pem")),
        ];
        for (algorithm, pem) in keys {
            let key = AccountKey::from_pem(pem).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            let scene = Scene::new(key).await;
            scene.client.register(&[], true, None).await.unwrap();
            scene.client.new_order(for_names(&names())).await.unwrap();
        }
    });
}

#[test]
fn a_ca_that_does_not_revoke_or_change_keys_is_told_apart_from_one_that_refuses() {
    within(async {
        let scene = Scene::registered().await;
        let lacks = |error: danesmith::error::Error, member: &str| {
            assert_eq!(error.kind, Kind::Remote);
            assert!(error.cause.contains(&format!("no `{member}`")), "{error}");
        };
        let reason = RevocationReason::Superseded;
        lacks(scene.client.revoke(b"certificate", reason, None).await.unwrap_err(), "revokeCert");
        lacks(scene.client.changes_keys().await.unwrap_err(), "keyChange");
        let new = AccountKey::generate().unwrap().0;
        lacks(scene.client.change_key(&new).await.unwrap_err(), "keyChange");
        assert_eq!(scene.ca.count("POST"), 1, "only the registration");
    });
}

#[test]
fn a_revocation_is_signed_by_the_account_or_by_the_certificates_key_and_a_second_one_is_no_error() {
    within(async {
        let scene = Scene::new(AccountKey::generate().unwrap().0).await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heard = seen.clone();
        scene.ca.script(move |request, base| match request.path.as_str() {
            "/dir" => Some(Response::json(
                200,
                json!({"newNonce": format!("{base}/nonce"), "newAccount": format!("{base}/account"),
                    "newOrder": format!("{base}/order"), "revokeCert": format!("{base}/revoke")}),
            )),
            "/revoke" => {
                let mut heard = heard.lock().unwrap();
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let part = |name: &str| -> Value {
                    let bytes = BASE64URL_NOPAD.decode(body[name].as_str().unwrap().as_bytes()).unwrap();
                    serde_json::from_slice(&bytes).unwrap()
                };
                heard.push((part("protected"), part("payload")));
                Some(match heard.len() {
                    1 | 2 => Response::new(200, ""),
                    3 => Response::problem(400, "alreadyRevoked", "it is"),
                    4 => Response::problem(403, "unauthorized", "not yours"),
                    _ => Response::reset(),
                })
            }
            _ => None,
        });
        scene.client.register(&[], true, None).await.unwrap();
        let own = AccountKey::from_pem(include_bytes!("keys/rsa2048.pem")).unwrap();
        let revoke = |reason, key| scene.client.revoke(b"DER", reason, key);
        let superseded = revoke(RevocationReason::Superseded, None).await.unwrap();
        let compromised = revoke(RevocationReason::KeyCompromise, Some(&own)).await.unwrap();
        assert_eq!([superseded, compromised], [Revocation::Done; 2]);
        let answer = async || revoke(RevocationReason::Unspecified, None).await;
        assert_eq!(answer().await.unwrap(), Revocation::Already);
        let refused = answer().await.unwrap_err();
        assert!(refused.kind == Kind::Credentials && !whole(&refused).contains("unknown"), "{refused}");
        let lost = answer().await.unwrap_err();
        assert!(
            lost.kind == Kind::Remote && whole(&lost).contains("Whether it is revoked is unknown"),
            "{lost}"
        );
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].0["kid"], scene.url("/account/1"));
        assert_eq!(seen[0].1, json!({"certificate": "REVS", "reason": 4}));
        assert!(seen[1].0["kid"].is_null() && seen[1].0["alg"] == "RS256", "{}", seen[1].0);
        assert_eq!(seen[1].0["jwk"]["kty"], "RSA");
        assert_eq!(seen[1].1["reason"], 1);
        assert_eq!(seen[2].1, json!({"certificate": "REVS"}), "no reason is no member");
    });
}

#[test]
fn the_key_is_never_in_debug_output() {
    within(async {
        let (key, pem) = AccountKey::generate().unwrap();
        let scene = Scene::new(key).await;
        let shown = format!("{:?}", scene.client);
        let secret: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        for piece in secret.as_bytes().windows(12) {
            assert!(!shown.contains(std::str::from_utf8(piece).unwrap()), "{shown}");
        }
        assert!(shown.contains("ES256") && shown.contains("thumbprint"), "{shown}");
    });
}
