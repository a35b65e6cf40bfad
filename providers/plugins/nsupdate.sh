#!/bin/sh
# danesmith exec plugin in POSIX shell: dynamic update through nsupdate(1), read with dig(1). Needs jq, because a shell
# cannot read JSON. A starting point for your own: replace the three functions zone, list and apply.
#
# config: server, port (53), key_name, algorithm (hmac-sha256), secret: a TSIG key. The secret goes to nsupdate's
# standard input, never to a command line, where `ps` would show it. The protocol is in providers/PLUGINS.md.
set -u

# field EXPRESSION: of the request line; by standard input, for the same reason
field() { printf '%s\n' "$line" | jq -r "$1"; }

ok() { jq -cn --argjson id "$id" --argjson ok "$1" '{id: $id, ok: $ok}'; }

refuse() { # CLASS MESSAGE
    jq -cn --argjson id "$id" --arg class "$1" --arg message "$2" '{id: $id, error: {class: $class, message: $message}}'
}

# ask NAME TYPE: the answer, with status and flags as comments
ask() {
    dig +norecurse +tcp +tries=1 +time=5 +noall +comments +answer +authority "@$server" -p "$port" -t "$2" -q "$1."
}

hello() {
    for tool in jq dig nsupdate; do
        command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
    done
    server=$(field '.config.server // empty') port=$(field '.config.port // 53')
    key=$(field '"\(.config.algorithm // "hmac-sha256"):\(.config.key_name) \(.config.secret)"')
    case $server in
    '' | -*) refuse rejected 'config.server is missing' ;;
    # several values travel in one message, but nothing guards against a writer in between: value by value
    *) ok '{"protocol": 1, "types": ["TXT", "TLSA"], "semantics": "value", "atomic": "value"}' ;;
    esac
}

zone() {
    answer=$(ask "$name" SOA) || { refuse transient "$server does not answer"; return; }
    apex=$(printf '%s\n' "$answer" | awk '$4 == "SOA" { sub(/\.$/, "", $1); print tolower($1); exit }')
    # `aa` in the flags: the server speaks for the zone itself
    if [ -n "$apex" ] && printf '%s\n' "$answer" | grep -q '^;; flags:[^;]* aa[ ;]'; then
        ok "$(jq -cn --arg name "$apex" '{name: $name}')"
    else
        refuse not-found "$server is not authoritative for $name"
    fi
}

list() {
    answer=$(ask "$name" "$type") || { refuse transient "$server does not answer"; return; }
    if printf '%s\n' "$answer" | awk -v name="$name." 'tolower($1) == name && $4 == "CNAME" { found = 1 } END { exit !found }'; then
        refuse conflict "$name is an alias"
        return
    fi
    # TLSA comes in upper case and in pieces: brought into the one canonical spelling
    printf '%s\n' "$answer" | jq -cRn --argjson id "$id" --arg name "$name." --arg type "$type" '
        [inputs | capture("^(?<owner>[^;\\s]\\S*)\\s+(?<ttl>\\d+)\\s+IN\\s+(?<type>\\S+)\\s+(?<value>.*)$")
         | select((.owner | ascii_downcase) == $name and .type == $type)
         | {ttl: (.ttl | tonumber),
            value: (if $type == "TLSA"
                    then .value | split(" ") | (.[:3] | join(" ")) + " " + (.[3:] | join("") | ascii_downcase)
                    else .value end)}]
        | {id: $id, ok: {records: .}}'
}

apply() {
    # Adding what stands and deleting what is gone are no errors in RFC 2136, so this may be sent twice.
    changes=$(field '.changes[] | . as $c
        | ($c.add[] | "update add \($c.name). \($c.ttl) IN \($c.type) \(.)"),
          ($c.remove[] | "update delete \($c.name). IN \($c.type) \(.)")')
    said=$(printf 'server %s %s\nzone %s.\nkey %s\n%s\nsend\n' "$server" "$port" "$zone" "$key" "$changes" | nsupdate -v -t 20 2>&1) &&
        { ok '{"applied": 1}'; return; }
    case $said in
    *BADKEY* | *BADSIG* | *BADTIME* | *REFUSED* | *tsig*) refuse auth "$said" ;;
    *NOTAUTH*) refuse not-found "$said" ;;
    *SERVFAIL* | *'timed out'* | *refused*) refuse transient "$said" ;;
    *) refuse rejected "$said" ;;
    esac
}

# one request per line until the end of input; @sh quotes each value for the shell
while IFS= read -r line; do
    eval "$(field '@sh "id=\(.id) operation=\(.op) name=\(.name // "") type=\(.type // "") zone=\(.zone.name? // "")"')"
    case $operation in
    hello | zone | list | apply) "$operation" ;;
    *) refuse unsupported "no operation $operation" ;;
    esac
done
