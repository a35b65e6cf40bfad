//! A network of the test's own with real mail servers in it. The test runs itself again inside `unshare`: what it starts
//! there ends with it, whatever happens.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where everything listens.
pub(crate) const IP: &str = "127.0.0.25";

const MARK: &str = "DANESMITH_TEST_NAMESPACE";

/// Runs `inside` in namespaces of its own (network, mounts, processes).
pub(crate) fn alone(test: &str, inside: impl AsyncFnOnce(House)) {
    if let Some(folder) = std::env::var_os(MARK) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(inside(House { folder: folder.into() }));
    }
    // short: the name of a Unix socket ends after 108 characters
    let everybody = fs::Permissions::from_mode(0o755); // the servers have users of their own
    let folder = tempfile::Builder::new().prefix("danesmith-mta-").permissions(everybody).tempdir();
    let folder = folder.unwrap().keep();
    let script = format!(
        "mount -t tmpfs tmpfs /run; ip link set lo up; ip addr add {IP}/32 dev lo; exec \"$0\" --exact \"$1\" --nocapture"
    );
    let mut command = Command::new("unshare");
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-ec",
        &script,
    ]);
    let status = command.arg(std::env::current_exe().unwrap()).arg(test).env(MARK, &folder).status().unwrap();
    assert!(status.success(), "{test} failed inside; the servers' logs are in {}", folder.display());
    fs::remove_dir_all(&folder).unwrap();
}

/// A certificate and its key, in files and as DER.
pub(crate) struct Identity {
    pub(crate) der: Vec<u8>,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// Key and certificate together, as Postfix likes it.
    pub(crate) both: PathBuf,
}

pub(crate) struct House {
    folder: PathBuf,
}

impl House {
    pub(crate) fn ecdsa(&self, name: &str) -> Identity {
        self.identity(name, &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    /// ring does not make RSA keys.
    pub(crate) fn rsa(&self, name: &str) -> Identity {
        let made = Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .unwrap();
        self.identity(name, &KeyPair::from_pem(&String::from_utf8(made.stdout).unwrap()).unwrap())
    }

    fn identity(&self, name: &str, key: &KeyPair) -> Identity {
        let params = CertificateParams::new(vec!["mx1.example.test".into()]).unwrap();
        let certificate = params.self_signed(key).unwrap();
        let write = |ending: &str, text: String| {
            let path = self.folder.join(format!("{name}.{ending}"));
            fs::write(&path, text).unwrap();
            path
        };
        Identity {
            der: certificate.der().to_vec(),
            cert: write("crt", certificate.pem()),
            key: write("key", key.serialize_pem()),
            both: write("pem", key.serialize_pem() + &certificate.pem()),
        }
    }

    fn sub(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Postfix at ports 25, 587 and 465; no STARTTLS at 26. `names` are served to those who ask for them by SNI.
    pub(crate) fn postfix(&self, identities: &[&Identity], names: &[(&str, &Identity)]) {
        let (etc, queue, data) = (self.sub("postfix"), self.sub("queue"), self.sub("data"));
        run(Command::new("chown").arg("postfix").arg(&data));
        let chains: Vec<_> = identities.iter().map(|one| one.both.display().to_string()).collect();
        let map: String =
            names.iter().map(|(name, one)| format!("{name} {}\n", one.both.display())).collect();
        fs::write(etc.join("sni"), map).unwrap();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {queue}\ndata_directory = {data}\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\ninet_interfaces = {IP}\ninet_protocols = ipv4\nmyhostname = mx1.example.test\n\
             mydestination =\nlocal_recipient_maps =\nalias_maps =\nalias_database =\nmaillog_file = {folder}/mail.log\n\
             maillog_file_prefixes = {folder}\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = {chains}\n\
             tls_server_sni_maps = hash:{etc}/sni\n",
            queue = queue.display(),
            data = data.display(),
            folder = self.folder.display(),
            chains = chains.join(", "),
            etc = etc.display(),
        );
        fs::write(etc.join("main.cf"), main).unwrap();
        let master = format!(
            "tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nanvil unix - - n - 1 anvil\n\
             postlog unix-dgram n - n - 1 postlogd\n\
             {IP}:25 inet n - n - - smtpd\n{IP}:587 inet n - n - - smtpd\n\
             {IP}:26 inet n - n - - smtpd -o smtpd_tls_security_level=none\n\
             {IP}:465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"
        );
        fs::write(etc.join("master.cf"), master).unwrap();
        run(Command::new("/usr/sbin/postmap")
            .arg("-F")
            .arg("-c")
            .arg(&etc)
            .arg(format!("hash:{}/sni", etc.display())));
        run(Command::new("/usr/sbin/postfix").arg("-c").arg(&etc).arg("start"));
        listening(&[25, 26, 465, 587]);
    }

    /// Dovecot (its sockets in a /run of the namespace, whose path is short enough for them): imap 143, imaps 993, pop3 110, pop3s 995, sieve 4190.
    pub(crate) fn dovecot(&self, ecdsa: &Identity, rsa: &Identity) {
        let folder = self.sub("dovecot");
        let text = format!(
            "base_dir = /run/dovecot\nstate_dir = {folder}\nlog_path = {folder}/log\nprotocols = imap pop3 sieve\n\
             listen = {IP}\nssl = required\nssl_cert = <{}\nssl_key = <{}\nssl_alt_cert = <{}\nssl_alt_key = <{}\n\
             passdb {{\n driver = static\n args = password=x\n}}\n\
             userdb {{\n driver = static\n args = uid=65534 gid=65534 home=/nonexistent\n}}\n\
             service managesieve-login {{\n inet_listener sieve {{\n port = 4190\n }}\n}}\n",
            rsa.cert.display(),
            rsa.key.display(),
            ecdsa.cert.display(),
            ecdsa.key.display(),
            folder = folder.display(),
        );
        let file = folder.join("dovecot.conf");
        fs::write(&file, text).unwrap();
        run(Command::new("/usr/sbin/dovecot").arg("-c").arg(&file));
        listening(&[110, 143, 993, 995, 4190]);
    }
}

/// Output goes to a file: a daemon may keep it open for ever.
fn run(command: &mut Command) {
    let log = PathBuf::from("/run/said"); // the namespace's own
    let open = || fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
    let status = command.stdin(Stdio::null()).stdout(open()).stderr(open()).status().unwrap();
    assert!(status.success(), "{command:?}: {}", fs::read_to_string(&log).unwrap());
}

pub(crate) fn listening(ports: &[u16]) {
    for port in ports {
        let up = (0..400).any(|_| {
            let up = TcpStream::connect((IP, *port)).is_ok();
            if !up {
                std::thread::sleep(Duration::from_millis(25));
            }
            up
        });
        assert!(up, "nobody listens at port {port}");
    }
}
