//! The mirror of `providers` in zones.yaml. Doc comments become the descriptions in `zones.schema.json`.

use super::setting::{Environment, Settings};
use crate::config::problem::Sink;
use crate::config::read::{At, DurationText, Read, entries, mapping};
use crate::config::spec::Secret;
use crate::config::tree::Node;

/// A DNS provider; the key names its kind, which decides the fields.
#[derive(Debug)]
pub(in crate::config) struct Provider {
    /// The kind.
    pub(super) kind: At<String>,
    /// What stands below it.
    pub(super) fields: Node,
    /// The path of that.
    pub(super) path: String,
}

mapping! {
    /// Dynamic update (RFC 2136) with TSIG (RFC 8945): BIND, Knot DNS, PowerDNS.
    Rfc2136 {
        /// Primary server: address, `address:port`, name or `name:port`.
        server: At<String>,
        /// `tcp` (default), `udp` or `tls`.
        transport: Option<At<String>>,
        /// For `transport: tls`.
        tls: Option<At<Tls>>,
        /// The key that signs.
        tsig: Tsig,
        /// Time for one message and its answer, such as `5s` (default).
        timeout: Option<At<DurationText>>,
    }
}

mapping! {
    /// DNS over TLS to the primary server (RFC 7858).
    Tls {
        /// PEM file with trust roots; default: the system's.
        root: Option<At<String>>,
        /// Name in the server's certificate; default: the host part of `server`.
        name: Option<At<String>>,
    }
}

mapping! {
    /// TSIG key.
    Tsig {
        /// Key name, as the server knows it.
        name: At<String>,
        /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
        algorithm: At<String>,
        /// The key, base64.
        secret: Secret,
    }
}

mapping! {
    /// A program of your own that speaks danesmith's plugin protocol (providers/PLUGINS.md).
    Exec {
        /// Argument vector; no shell.
        command: At<Vec<At<String>>>,
        /// What the program is given with `hello`: text, numbers, true or false, or where a secret is.
        config: Option<Settings>,
        /// Its environment beyond PATH.
        env: Option<Environment>,
        /// Time for one request and its answer, such as `60s` (default).
        timeout: Option<At<DurationText>>,
    }
}

mapping! {
    /// A dnsapi script of your own install of acme.sh; TXT only.
    AcmeSh {
        /// The folder that holds `acme.sh` and `dnsapi/`.
        install: At<String>,
        /// The script's name, such as `dns_cf`.
        script: At<String>,
        /// The variables that it reads.
        env: Option<Environment>,
        /// `by-value`: your word that the script removes exactly the value it is given. Default: nothing is removed
        /// while other values stand at the name.
        removal: Option<At<String>>,
    }
}

mapping! {
    /// dns-lexicon in your own Python.
    Lexicon {
        /// The Python that has it: a path, or a name in PATH; default `python3`.
        python: Option<At<String>>,
        /// Its provider, such as `cloudflare`.
        provider: At<String>,
        /// The provider's options there, such as `auth_token`.
        options: Option<Settings>,
    }
}

mapping! {
    /// A program made for lego's `exec`: `PROGRAM present|cleanup NAME VALUE`; TXT only.
    LegoExec {
        /// The program.
        program: At<String>,
        /// Its environment beyond PATH.
        env: Option<Environment>,
        /// `by-value`: your word that it removes exactly the value it is given.
        removal: Option<At<String>>,
    }
}

mapping! {
    /// A service made for lego's `httpreq`; TXT only.
    HttpReq {
        /// Base URL: https, or http on this host.
        endpoint: At<String>,
        /// For basic authentication.
        username: Option<At<String>>,
        /// For basic authentication.
        password: Option<Secret>,
        /// PEM file with the only trusted root; default: the system's.
        root: Option<At<String>>,
        /// `by-value`: your word that it removes exactly the value it is given.
        removal: Option<At<String>>,
    }
}

impl Read for Provider {
    /// The fields are read when it is known which kinds there are.
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        let found = entries(node, path, &["KIND"], sink)?;
        let [(key, name, fields)] = found[..] else {
            let hint = "such as `{rfc2136: {…}}`; `danesmith provider list` shows the kinds";
            sink.say_with(&node.place(path), "must be exactly one kind of provider with its fields", hint);
            return None;
        };
        let kind = At { value: name.to_owned(), place: key.place(path) };
        Some(Provider { kind, fields: fields.clone(), path: crate::config::read::join(path, name) })
    }
}
