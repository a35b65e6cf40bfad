//! The reference plugins and the built-in provider, each through the whole list of conformance checks at a real BIND.

use crate::support::{self, Kind, Server, change, name, standing, tlsa, txt, zone};
use crate::tools::*;
use danesmith_providers::exec::{Setting, Settings};
use danesmith_providers::{Applied, Class, Provider};
use hickory_proto::rr::RecordType;
use serde_json::json;

#[tokio::test]
async fn the_built_in_provider_conforms() {
    let server = Server::start(Kind::Bind);
    let provider = support::provider(server.address(), |_| {});
    assert_all_passed(&conformance(&provider, &server).await);
}

#[tokio::test]
async fn the_python_plugin_conforms() {
    let server = Server::start(Kind::Bind);
    let provider = open(&reference("nsupdate.py"), settings(&server)).await.unwrap();
    assert_all_passed(&conformance(&provider, &server).await);
}

#[tokio::test]
async fn the_shell_plugin_conforms() {
    let server = Server::start(Kind::Bind);
    let provider = open(&reference("nsupdate.sh"), settings(&server)).await.unwrap();
    assert_all_passed(&conformance(&provider, &server).await);
}

#[tokio::test]
async fn foreign_values_survive_both_plugins_and_keep_their_ttl() {
    for plugin in ["nsupdate.py", "nsupdate.sh"] {
        let server = Server::start(Kind::Bind);
        let witness = support::provider(server.address(), |_| {});
        let provider = open(&reference(plugin), settings(&server)).await.unwrap();
        let names = ["_acme-challenge.kept.example.test.", "_25._tcp.kept.example.test."];
        let before = (
            standing(&witness, names[0], RecordType::TXT).await,
            standing(&witness, names[1], RecordType::TLSA).await,
        );
        let add = [change(names[0], &[txt("ours")], &[]), change(names[1], &[tlsa(7)], &[])];
        assert_eq!(provider.apply(&zone(), &add).await.unwrap(), Applied { writes: 1 }, "{plugin}");
        assert_eq!(standing(&witness, names[1], RecordType::TLSA).await.1.len(), 2);
        assert_eq!(standing(&witness, names[1], RecordType::TLSA).await.0, 1200);
        let remove = [change(names[0], &[], &[txt("ours")]), change(names[1], &[], &[tlsa(7)])];
        provider.apply(&zone(), &remove).await.unwrap();
        let after = (
            standing(&witness, names[0], RecordType::TXT).await,
            standing(&witness, names[1], RecordType::TLSA).await,
        );
        assert_eq!(after, before, "{plugin}");
    }
}

#[tokio::test]
async fn a_key_file_signs_for_the_python_plugin() {
    let server = Server::start(Kind::Bind);
    let dir = Dir::new();
    let key = format!("key k512 {{ algorithm hmac-sha512; secret \"{}\"; }};\n", secret());
    std::fs::write(dir.path("k512.key"), key).unwrap();
    let mut settings = settings(&server);
    settings.remove("secret");
    settings.remove("key_name");
    settings.insert("key_file".to_owned(), Setting::Plain(json!(dir.path("k512.key"))));
    let provider = open(&reference("nsupdate.py"), settings).await.unwrap();
    let changes = [change("_acme-challenge.mx.example.test.", &[txt("a")], &[])];
    assert_eq!(provider.apply(&zone(), &changes).await.unwrap(), Applied { writes: 1 });
}

#[tokio::test]
async fn both_plugins_tell_the_classes_of_errors_apart() {
    let server = Server::start(Kind::Bind);
    let with = |key: &str, value: Setting| {
        let mut settings = settings(&server);
        settings.insert(key.to_owned(), value);
        settings
    };
    let one = [change("_acme-challenge.mx.example.test.", &[txt("a")], &[])];
    for plugin in ["nsupdate.py", "nsupdate.sh"] {
        let wrong =
            with("secret", Setting::Secret("c29tZSBvdGhlciBzZWNyZXQgb2Ygc29tZSBsZW5ndGg=".to_owned().into()));
        let error = open(&reference(plugin), wrong).await.unwrap().apply(&zone(), &one).await.unwrap_err();
        assert_eq!(error.class, Class::Auth, "{plugin}: {error}");

        let narrow = with("key_name", Setting::Plain(json!("narrow")));
        let error = open(&reference(plugin), narrow)
            .await
            .unwrap()
            .apply(&zone(), &[change("_25._tcp.mx.example.test.", &[tlsa(1)], &[])])
            .await
            .unwrap_err();
        assert_eq!(error.class, Class::Auth, "{plugin}: {error}");

        let good = open(&reference(plugin), settings(&server)).await.unwrap();
        let error =
            good.list(&name("other.test."), &name("a.other.test."), RecordType::TXT).await.unwrap_err();
        assert_eq!(error.class, Class::NotFound, "{plugin}: {error}");
        let error = good.list(&name("test."), &name("a.test."), RecordType::TXT).await.unwrap_err();
        assert_eq!(error.class, Class::NotFound, "{plugin}: {error}");
        let alias = good.list(&zone(), &name("alias.example.test."), RecordType::TXT).await.unwrap_err();
        assert_eq!(alias.class, Class::Conflict, "{plugin}: {alias}");

        let error = open(&reference(plugin), Settings::new()).await.unwrap_err();
        assert_eq!(error.class, Class::Rejected, "{plugin}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_a_passing_failure() {
    let mut server = Server::start(Kind::Bind);
    let settings = settings(&server);
    server.kill();
    for plugin in ["nsupdate.py", "nsupdate.sh"] {
        let provider = open(&reference(plugin), settings.clone()).await.unwrap();
        let list = provider.list(&zone(), &name("_25._tcp.mx.example.test."), RecordType::TLSA).await;
        assert_eq!(list.unwrap_err().class, Class::Transient, "{plugin}");
    }
}
