//! A real Postfix reads `chains.pem`: both algorithms answer, and a renewal arrives by the reload command.

use crate::site::{Algorithm, Site, told};
use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A Postfix of its own, in a network and mount namespace of its own; killed when dropped.
struct Postfix<'s> {
    site: &'s Site,
    holder: Child,
}

impl Postfix<'_> {
    fn start(site: &Site) -> Postfix<'_> {
        let root = site.0.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {root}/postfix/queue\ndata_directory = {root}/postfix/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mx.example.org\n\
             mydestination =\nlocal_recipient_maps =\nalias_maps =\nalias_database =\nmynetworks = 127.0.0.0/8\n\
             maillog_file = {root}/postfix/mail.log\nmaillog_file_prefixes = {root}\nsmtpd_tls_security_level = may\n\
             smtpd_tls_chain_files = {root}/out/tls/chains.pem\n\
             import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C\n"
        );
        let master = "127.0.0.1:25 inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n\
                      qmgr unix n - n 300 1 qmgr\ntlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\n\
                      anvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n";
        for folder in ["postfix/etc", "postfix/queue", "postfix/data"] {
            fs::create_dir_all(site.path(folder)).unwrap();
        }
        fs::write(site.path("postfix/etc/main.cf"), main).unwrap();
        fs::write(site.path("postfix/etc/master.cf"), master).unwrap();
        let holder = Command::new("unshare")
            .args(["-nmpf", "--kill-child", "--mount-proc", "sh", "-c"])
            .arg("ip link set lo up && chown postfix postfix/data && postfix -c $PWD/postfix/etc start >postfix/start.log 2>&1; exec sleep infinity")
            .current_dir(&site.0)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Postfix { site, holder }
    }

    /// Runs a command where Postfix lives.
    fn inside(&self, arguments: &[&str]) -> Output {
        // the child of unshare is the first process of the new process namespace
        let first = Command::new("pgrep").args(["-P", &self.holder.id().to_string()]).output().unwrap();
        let pid = String::from_utf8(first.stdout).unwrap().trim().to_owned();
        let target = format!("--target={pid}");
        let fixed =
            ["--net", "--mount", "--pid", &target, &format!("--wdns={}", self.site.0.display()), "--"];
        Command::new("nsenter").args(fixed).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// The certificate that a client gets who knows these signature algorithms only, as its common name.
    fn presents(&self, sigalgs: &str) -> Option<String> {
        let script = format!(
            "openssl s_client -connect 127.0.0.1:25 -starttls smtp -sigalgs {sigalgs} </dev/null 2>/dev/null | openssl x509 -noout -subject"
        );
        let output = self.inside(&["sh", "-c", &script]);
        let subject = String::from_utf8(output.stdout).unwrap();
        Some(subject.trim().split_once("CN = ")?.1.to_owned())
    }

    #[track_caller]
    fn comes_to_present(&self, sigalgs: &str, name: &str) {
        let began = Instant::now();
        let mut last = None;
        while began.elapsed() < Duration::from_secs(20) {
            last = self.presents(sigalgs);
            if last.as_deref() == Some(name) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(self.site.path("postfix/mail.log")).unwrap_or_default();
        let start = fs::read_to_string(self.site.path("postfix/start.log")).unwrap_or_default();
        panic!("{sigalgs}: wanted {name}, got {last:?}\n{start}{log}");
    }
}

impl Drop for Postfix<'_> {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

const ECDSA: &str = "ECDSA+SHA256";
const RSA: &str = "RSA-PSS+SHA256:RSA+SHA256";

#[test]
fn postfix_serves_both_algorithms_from_one_file_and_takes_a_renewal_by_reload() {
    let deploy =
        "deploy: {dir: out/tls, owner: root, group: postfix, reload: [postfix, -c, PWD/postfix/etc, reload]}";
    let site = Site::new(&[]);
    let deploy = deploy.replace("PWD", &site.0.display().to_string());
    site.configure(&[
        &format!("ec: {{names: [mx.example.org], keys: managed, {deploy}}}"),
        &format!("rsa: {{names: [mx.example.org], keys: {{active: {{key: rsa.key}}}}, {deploy}}}"),
    ]);
    site.renew("ec", Algorithm::Ecdsa);
    site.renew("rsa", Algorithm::Rsa);
    // Postfix does not run yet: its reload fails, the files are there.
    assert!(site.apply(74).contains("could not run the reload command `postfix -c "));

    let postfix = Postfix::start(&site);
    postfix.comes_to_present(ECDSA, "ec 1");
    postfix.comes_to_present(RSA, "rsa 1");
    postfix.comes_to_present(&format!("{ECDSA}:{RSA}"), "ec 1");

    site.renew("ec", Algorithm::Ecdsa);
    let output = postfix.inside(&[env!("CARGO_BIN_EXE_danesmith"), "apply"]);
    assert!(output.status.success(), "{}", told(&output));
    postfix.comes_to_present(ECDSA, "ec 2");
    postfix.comes_to_present(RSA, "rsa 1");
    assert_eq!(site.document("ec").get("reload_owed"), None);
    assert_eq!(site.document("rsa").get("reload_owed"), None, "its reload was owed since the start");
}
