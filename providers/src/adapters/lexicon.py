"""danesmith's driver of dns-lexicon: exec plugin protocol 1 on standard input and output (providers/PLUGINS.md)."""
import contextlib
import email.utils
import json
import sys
import time

# Their interfaces refuse TLSA, whatever lexicon sends.
TXT_ONLY = {"digitalocean", "linode", "linode4", "vultr", "duckdns", "godaddy", "namecheap"}


class Refusal(Exception):
    def __init__(self, kind, message, hint=None, retry_after=None):
        super().__init__(message)
        self.kind, self.hint, self.retry_after = kind, hint, retry_after


class Zone:
    """What the client would look up in a list of public suffixes from the net: here the zone is known."""

    def __init__(self, **_):
        pass

    def __call__(self, zone):
        self.domain, _, self.suffix = zone.partition(".")
        return self


class Lexicon:
    def __init__(self, config):
        try:
            import lexicon.client
            import lexicon.config
        except ImportError as error:
            raise Refusal("unsupported", f"{sys.executable} has no dns-lexicon: {error}", "pip install dns-lexicon, and name that Python")
        if hasattr(lexicon.client, "tldextract"):
            lexicon.client.tldextract.TLDExtract = Zone
        self.client, self.resolver = lexicon.client.Client, lexicon.config.ConfigResolver
        self.provider = config.pop("provider")
        self.options = config
        try:
            self.open("example.org")
        except Exception as error:
            if type(error).__name__ == "ProviderNotAvailableError":
                raise Refusal("unsupported", str(error))
            raise

    def open(self, zone, rtype="TXT", ttl=300):
        """A fresh one for each look and each change: some providers remember the zone as it was when they were made."""
        values = {"provider_name": self.provider, "action": "list", "domain": zone, "delegated": zone, "type": rtype, "ttl": ttl}
        return self.client(self.resolver().with_dict({**values, self.provider: self.options}))

    def zone(self, name):
        labels, last = name.split("."), None
        for start in range(max(1, len(labels) - 1)):
            zone = ".".join(labels[start:])
            try:
                with self.open(zone):
                    return {"name": zone}
            except Exception as error:
                refusal = understood(error)
                if refusal.kind not in ("not-found", "rejected", "internal") and not is_lookup(error):
                    raise refusal
                last = refusal
        raise Refusal("not-found", f"lexicon's {self.provider} has no zone for {name}: {last}",
                      "lexicon does not tell a wrong zone from wrong credentials for every host")

    def records(self, operations, zone, name, rtype):
        """(canonical value, record) of exactly this name and type; hosts filter loosely."""
        found = operations.list_records(rtype, name) or []
        here = [r for r in found if r.get("type", rtype) == rtype and full(r.get("name", name), zone) == name]
        return [(canonical(rtype, r["content"]), r) for r in here]

    def list(self, zone, name, rtype):
        with self.open(zone, rtype) as operations:
            records = self.records(operations, zone, name, rtype)
        return {"records": [{"value": value, "ttl": int(record.get("ttl") or 0)} for value, record in records]}

    def apply(self, zone, changes):
        done = 0
        for change in changes:
            name, rtype, ttl = change["name"], change["type"], change["ttl"]
            for value in change["add"]:
                with self.open(zone, rtype, ttl) as operations:
                    if canonical(rtype, value) in [v for v, _ in self.records(operations, zone, name, rtype)]:
                        continue
                    if operations.create_record(rtype, name + ".", content(rtype, value)) is False:
                        raise Refusal("rejected", f"lexicon's {self.provider} did not create {rtype} at {name}")
                    done += 1
            for value in change["remove"]:
                # By identifier: deletion by content compares spellings, finds nothing and says that all is well.
                with self.open(zone, rtype, ttl) as operations:
                    for standing, record in self.records(operations, zone, name, rtype):
                        if standing == canonical(rtype, value):
                            operations.delete_record(record.get("id"), rtype, name + ".", record["content"])
                            done += 1
        return {"applied": done}


def full(name, zone):
    name = name.rstrip(".").lower()
    if name in ("", "@"):
        return zone
    return name if name == zone or name.endswith("." + zone) else f"{name}.{zone}"


def canonical(rtype, value):
    if rtype == "TLSA":
        fields = value.split()
        return " ".join(fields[:3]) + " " + "".join(fields[3:]).lower()
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def content(rtype, value):
    """lexicon takes TXT without quotes."""
    return value[1:-1] if rtype == "TXT" else value


def is_lookup(error):
    """Raised by most of lexicon's providers for "no such domain" and for "wrong key" alike."""
    return type(error).__name__ == "AuthenticationError"


def milliseconds(wait):
    """Retry-After: seconds or a date (RFC 9110 10.2.3); a date that has passed is 0."""
    if wait.strip().isdigit():
        return 1000 * int(wait)
    try:
        date = email.utils.parsedate_to_datetime(wait)
        return max(0, round(1000 * (date.timestamp() - time.time())))
    except (TypeError, ValueError):
        return None


def understood(error):
    """requests' and lexicon's exceptions in our classes."""
    if isinstance(error, Refusal):
        return error
    response, name = getattr(error, "response", None), type(error).__name__
    if response is not None:
        status = response.status_code
        kinds = {401: "auth", 403: "auth", 404: "not-found", 409: "conflict", 429: "rate-limited"}
        retry_after = milliseconds(response.headers.get("Retry-After", ""))
        kind = kinds.get(status, "transient" if status >= 500 else "rejected")
        return Refusal(kind, f"HTTP {status}: {response.text[:200]}", retry_after=retry_after)
    if name == "AuthenticationError":
        return Refusal("auth", str(error))
    if isinstance(error, (OSError, TimeoutError)) or name in ("ConnectionError", "ConnectTimeout", "ReadTimeout"):
        return Refusal("transient", f"{name}: {error}")
    return Refusal("internal", f"{name}: {error}")


def answer(request, state):
    operation = request["op"]
    if operation == "hello":
        state["lexicon"] = lexicon = Lexicon(dict(request["config"]))
        types = ["TXT"] if lexicon.provider in TXT_ONLY else ["TXT", "TLSA"]
        return {"protocol": 1, "types": types, "semantics": "record", "atomic": "none"}
    lexicon = state["lexicon"]
    if operation == "zone":
        return lexicon.zone(request["name"])
    if operation == "list":
        return lexicon.list(request["zone"]["name"], request["name"], request["type"])
    if operation == "apply":
        return lexicon.apply(request["zone"]["name"], request["changes"])
    raise Refusal("unsupported", f"no operation {operation!r}")


def main():
    state = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            # Some providers print; standard output is for answers.
            with contextlib.redirect_stdout(sys.stderr):
                reply = {"id": request["id"], "ok": answer(request, state)}
        except Exception as error:
            refusal = understood(error)
            told = {"class": refusal.kind, "message": str(refusal), "hint": refusal.hint, "retry_after_ms": refusal.retry_after}
            reply = {"id": request["id"], "error": {key: value for key, value in told.items() if value is not None}}
        print(json.dumps(reply), flush=True)


main()
