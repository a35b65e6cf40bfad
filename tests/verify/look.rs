//! One run of `danesmith verify --json`.

use crate::support::Lab;
use serde_json::Value;

pub(crate) struct Look {
    pub(crate) json: Value,
    code: i32,
}

impl Look {
    pub(crate) fn at(lab: &Lab, hosts: &[&str]) -> Look {
        let mut command = lab.command("danesmith");
        let output =
            command.args(["--json", "verify", "--trust-anchor", "root.key"]).args(hosts).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {stderr}"));
        Look { json, code: output.status.code().unwrap_or(-1) }
    }

    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Look {
        assert_eq!(self.code, code, "{:#}", self.json);
        self
    }

    fn all(&self) -> Vec<Value> {
        let targets = self.json["targets"].as_array().cloned().unwrap_or_default();
        targets.iter().flat_map(|target| target["findings"].as_array().cloned().unwrap()).collect()
    }

    /// "critical no-match", in the order of the report.
    pub(crate) fn findings(&self) -> Vec<String> {
        let word = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
        self.all().iter().map(|one| format!("{} {}", word(one, "severity"), word(one, "check"))).collect()
    }

    pub(crate) fn count(&self, check: &str) -> usize {
        self.all().iter().filter(|finding| finding["check"] == check).count()
    }

    /// The words of the first finding of this check.
    pub(crate) fn message(&self, check: &str) -> String {
        let all = self.all();
        let found = all.iter().find(|finding| finding["check"] == check);
        found.map(|finding| finding["message"].as_str().unwrap().to_owned()).unwrap_or_default()
    }

    pub(crate) fn hosts(&self) -> Vec<Value> {
        self.json["targets"][0]["hosts"].as_array().cloned().unwrap()
    }

    /// Address, result and key of the first host's probes with SNI for this algorithm.
    pub(crate) fn probes(&self, algorithm: &str) -> Vec<(String, String, String)> {
        let word = |probe: &Value, field: &str| probe[field].as_str().unwrap_or("none").to_owned();
        let probes = self.hosts()[0]["probes"].as_array().cloned().unwrap();
        let wanted = probes.iter().filter(|probe| probe["algorithm"] == algorithm && probe["sni"] == true);
        wanted
            .map(|probe| (word(probe, "address"), word(probe, "result"), word(probe, "spki_sha256")))
            .collect()
    }
}

/// The table for people.
pub(crate) fn text(lab: &Lab, hosts: &[&str]) -> String {
    let mut command = lab.command("danesmith");
    let output = command.args(["verify", "--trust-anchor", "root.key"]).args(hosts).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
