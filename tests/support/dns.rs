//! What the world's name servers answer, and changes of their zones beside danesmith's.

use super::{BIND, KNOT, Lab, UNBOUND, eventually, unique};
use std::fs;
use std::time::Duration;

impl Lab {
    /// The record data `server` has, one per line in dig's presentation format, sorted. Empty when there is none.
    pub fn dig(&self, server: &str, name: &str, rtype: &str) -> Vec<String> {
        let text = self.run("dig", &["+short", "+time=5", "+tries=3", &format!("@{server}"), name, rtype]);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Does `server` answer at all?
    pub fn answers(&self, server: &str, name: &str, rtype: &str) -> bool {
        let args = ["+time=1", "+tries=1", &format!("@{server}"), name, rtype];
        self.command("dig").args(args).output().expect("dig runs").status.success()
    }

    /// Does unbound say that this answer (or denial) is authentic?
    pub fn validates(&self, name: &str, rtype: &str) -> bool {
        let text = self.run("dig", &["+dnssec", &format!("@{UNBOUND}"), name, rtype]);
        text.lines().any(|line| line.contains("flags:") && line.contains(" ad;"))
    }

    /// The serial of `zone` at `server`.
    pub fn serial(&self, server: &str, zone: &str) -> u32 {
        let soa = self.dig(server, zone, "SOA");
        let field = soa.first().and_then(|line| line.split(' ').nth(2).map(str::to_owned));
        field
            .and_then(|serial| serial.parse().ok())
            .unwrap_or_else(|| panic!("no SOA of {zone} at {server}: {soa:?}"))
    }

    /// Adds a record as the administrator would: with another key than danesmith's.
    pub fn add_record(&self, zone: &str, owner: &str, rtype: &str, rdata: &str) {
        self.administer(zone, owner, rtype, &format!("update add {owner} 5 {rtype} {rdata}"));
    }

    /// Deletes one record as the administrator would.
    pub fn delete_record(&self, zone: &str, owner: &str, rtype: &str, rdata: &str) {
        self.administer(zone, owner, rtype, &format!("update delete {owner} {rtype} {rdata}"));
    }

    /// Returns when the zone's primary shows the change: BIND's signed zone follows its NOERROR.
    fn administer(&self, zone: &str, owner: &str, rtype: &str, line: &str) {
        let before = self.dig(primary(zone), owner, rtype);
        self.update("foreign-key", zone, &[line]).expect("the administrator may write");
        eventually(Duration::from_secs(10), line, || self.dig(primary(zone), owner, rtype) != before);
    }

    /// One UPDATE message with nsupdate, sent to the zone's primary; `key` is `danesmith-key` or `foreign-key`.
    pub fn update(&self, key: &str, zone: &str, lines: &[&str]) -> Result<(), String> {
        let server = primary(zone);
        let script = format!("server {server}\nzone {zone}\n{}\nsend\n", lines.join("\n"));
        let path = self.dir.join(format!("nsupdate.{}", unique()));
        fs::write(&path, script).expect("the world is writable");
        let mut command = self.command("nsupdate");
        let output = command.args(["-k", &format!("{key}.conf")]).arg(&path).output().expect("nsupdate runs");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Forgets what unbound has cached.
    pub fn flush_resolver(&self) {
        self.run("unbound-control", &["-c", "unbound/unbound.conf", "flush_zone", "."]);
    }
}

fn primary(zone: &str) -> &'static str {
    if zone == "knot.test" { KNOT } else { BIND }
}
