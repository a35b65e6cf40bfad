#!/usr/bin/env python3
"""danesmith exec plugin: dynamic update through nsupdate(1), read back with dig(1). Standard library only.

An example, and for what danesmith's own rfc2136 provider does not do: any key nsupdate reads from a file (`key_file`), and
GSS-TSIG as Active Directory wants it (`gss`, not tested by us). With a TSIG secret the built-in provider is faster.

config:
  server     address or name of the primary (required)
  port       its port (53)
  key_name, algorithm (hmac-sha256), secret      a TSIG key; the secret goes to nsupdate's standard input
  key_file   a key file for nsupdate -k (absolute path)
  gss        true: nsupdate -g with the ticket in $KRB5CCNAME (hand it over with danesmith's `env`)
  timeout    seconds for one run of nsupdate or dig (20)

Questions are sent unsigned: the server must answer them from here. The protocol is in providers/PLUGINS.md.
"""
import json
import re
import subprocess
import sys

TYPES = ("TXT", "TLSA")


class Refusal(Exception):
    def __init__(self, kind, message, hint=None):
        super().__init__(message)
        self.kind, self.hint = kind, hint


class Primary:
    """One server, asked with dig and changed with nsupdate."""

    def __init__(self, config):
        self.server = str(config.get("server") or "")
        if not re.fullmatch(r"[0-9A-Za-z.:_-]+", self.server) or self.server.startswith("-"):
            raise Refusal("rejected", "config.server is missing or no address", "set `server` to the primary's address")
        self.port = int(config.get("port", 53))
        self.timeout = float(config.get("timeout", 20))
        self.arguments, self.key_line = self.key(config)

    @staticmethod
    def key(config):
        if config.get("gss"):
            return ["-g"], ""
        if config.get("key_file"):
            return ["-k", str(config["key_file"])], ""
        if not (config.get("key_name") and config.get("secret")):
            raise Refusal("auth", "config has neither key_name and secret, nor key_file, nor gss")
        algorithm = config.get("algorithm", "hmac-sha256")
        return [], f"key {word(algorithm)}:{word(config['key_name'])} {word(config['secret'])}\n"

    def run(self, argv, stdin=""):
        try:
            return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise Refusal("transient", f"{argv[0]} did not end within {self.timeout:g} s")
        except OSError as error:
            raise Refusal("internal", f"{argv[0]} cannot be run: {error.strerror}", "apt-get install bind9-dnsutils")

    def ask(self, name, rtype):
        """Status, whether the answer is authoritative, and (owner, ttl, type, data) of answer and authority."""
        options = ["+norecurse", "+tcp", "+tries=1", "+time=5", "+noall", "+comments", "+answer", "+authority"]
        where = [f"@{self.server}", "-p", str(self.port)]
        done = self.run(["dig", *options, *where, "-t", rtype, "-q", name + "."])
        status = re.search(r"status: (\w+)", done.stdout)
        if done.returncode or not status:
            raise Refusal("transient", f"{self.server} does not answer: {done.stdout.strip() or done.stderr.strip()}")
        authoritative = bool(re.search(r"^;; flags:[^;]*\baa\b", done.stdout, re.M))
        records = []
        for line in done.stdout.splitlines():
            if line and not line.startswith(";"):
                owner, ttl, _, kind, data = line.split(None, 4)
                records.append((owner.rstrip(".").lower(), int(ttl), kind, data))
        return status.group(1), authoritative, records

    def zone(self, name):
        status, authoritative, records = self.ask(name, "SOA")
        apexes = [owner for owner, _, kind, _ in records if kind == "SOA"]
        if status not in ("NOERROR", "NXDOMAIN") or not authoritative or not apexes:
            raise Refusal("not-found", f"{self.server} is not authoritative for {name} ({status})")
        return {"name": apexes[0]}

    def list(self, name, rtype):
        status, _, records = self.ask(name, rtype)
        if status not in ("NOERROR", "NXDOMAIN"):
            raise Refusal("not-found" if status == "REFUSED" else "transient", f"{self.server} answers {status} for {name}")
        here = [record for record in records if record[0] == name]
        if any(kind == "CNAME" for _, _, kind, _ in here):
            raise Refusal("conflict", f"{name} is an alias; its records belong at the target")
        return [{"value": canonical(kind, data), "ttl": ttl} for _, ttl, kind, data in here if kind == rtype]

    def apply(self, zone, changes):
        """One message: all changes or none, and only if every RRset is still what was seen (RFC 2136 §2.4.2)."""
        lines, touched = [], 0
        for change in changes:
            name, rtype = word(change["name"]), change["type"]
            if rtype not in TYPES:
                raise Refusal("unsupported", f"no {rtype} here")
            if name != zone and not name.endswith("." + zone):
                raise Refusal("rejected", f"{name} is not in zone {zone}")
            seen = self.list(name, rtype)
            standing = [record["value"] for record in seen]
            add = [value for value in map(one_line, change["add"]) if value not in standing]
            remove = [value for value in map(one_line, change["remove"]) if value in standing and value not in change["add"]]
            if not add and not remove:
                continue
            touched += 1
            lines += [f"prereq yxrrset {name}. IN {rtype} {value}" for value in standing]
            lines += [] if standing else [f"prereq nxrrset {name}. IN {rtype}"]
            lines += [f"prereq nxrrset {name}. IN CNAME"] if add else []
            ttl = seen[0]["ttl"] if seen else int(change["ttl"])
            lines += [f"update add {name}. {ttl} IN {rtype} {value}" for value in add]
            lines += [f"update delete {name}. IN {rtype} {value}" for value in remove]
        if touched:
            script = f"server {self.server} {self.port}\nzone {zone}.\n{self.key_line}" + "\n".join(lines) + "\nsend\n"
            self.judge(self.run(["nsupdate", "-v", "-t", f"{self.timeout:.0f}", *self.arguments], script), zone)
        return {"applied": touched}

    def judge(self, done, zone):
        if done.returncode == 0:
            return
        said = " ".join((done.stderr or done.stdout).split())
        print(said, file=sys.stderr)
        for sign, kind in (
            ("NXRRSET", "conflict"), ("YXRRSET", "conflict"),
            ("BADKEY", "auth"), ("BADSIG", "auth"), ("BADTIME", "auth"), ("REFUSED", "auth"), ("tsig", "auth"),
            ("GSSAPI", "auth"), ("NOTAUTH", "not-found"), ("NOTZONE", "rejected"), ("SERVFAIL", "transient"),
            ("timed out", "transient"), ("unreachable", "transient"), ("refused", "transient"),
        ):
            if sign in said:
                raise Refusal(kind, f"the update of zone {zone} at {self.server} failed: {said}")
        raise Refusal("rejected", f"the update of zone {zone} at {self.server} failed: {said}")


def canonical(rtype, data):
    if rtype == "TLSA":
        fields = data.split()
        return " ".join(fields[:3]) + " " + "".join(fields[3:]).lower()
    return data


def word(text):
    """A name or key for nsupdate's line-oriented input: no blank, no line feed, no second command."""
    if not re.fullmatch(r"[!-~]+", str(text)):
        raise Refusal("rejected", "a name or key holds characters that nsupdate does not take")
    return str(text)


def one_line(value):
    if not re.fullmatch(r"[ -~]+", value):
        raise Refusal("rejected", "a value holds characters that nsupdate does not take")
    return value


def answer(request, state):
    operation = request["op"]
    if operation == "hello":
        if request["protocol"] != 1:
            raise Refusal("unsupported", "this plugin speaks protocol 1")
        state["primary"] = Primary(request["config"])
        return {"protocol": 1, "types": list(TYPES), "semantics": "value", "atomic": "batch"}
    primary = state["primary"]
    if operation == "zone":
        return primary.zone(word(request["name"]))
    if operation == "list":
        return {"records": primary.list(word(request["name"]), word(request["type"]))}
    if operation == "apply":
        return primary.apply(word(request["zone"]["name"]), request["changes"])
    raise Refusal("unsupported", f"no operation {operation!r}")


def main():
    state = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"id": request["id"], "ok": answer(request, state)}
        except Refusal as refusal:
            error = {"class": refusal.kind, "message": str(refusal)}
            reply = {"id": request["id"], "error": {**error, "hint": refusal.hint} if refusal.hint else error}
        print(json.dumps(reply), flush=True)


main()
