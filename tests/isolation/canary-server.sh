# A stdio server that tells everything it knows wherever it can: its environment and its arguments.
# Run: bash canary-server.sh <mode> "<names of variables>" <arguments with secrets>. A shell starts in
# a fifth of the time that any engine takes, and the tests start hundreds of these.

mode=$1

# Sets $json to $1 as a string of JSON.
quote() {
  json=${1//\\/\\\\}
  json=${json//\"/\\\"}
  json=\"${json//$'\n'/\\n}\"
}

say() {
  printf '%s\n' "$1"
}

# Without gaps, so that wherever it is cut, a secret is cut.
printf -v endless '%300s' ''
endless=${endless// /$LITERAL}

members=
for name in $2 HOME PATH; do
  say "$name=${!name}" >&2
  quote "${!name}"
  members+=",\"$name\":$json"
done
shift 2
told="{${members#,}} $*"
quote "$told"
say "$told" >&2

case $mode in
  crash) exit 7 ;;
  cut)
    say "$endless" >&2
    # Longer than any line that is kept.
    for ((n = 0; n < 50; n++)); do printf %s "$endless"; done >&2
    say '' >&2
    exit 8
    ;;
  junk)
    say "$told"
    say "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":$json"
    say "$endless"
    ;;
esac

tools=
for name in die log hang; do
  tools+=",{\"name\":\"$name\",\"inputSchema\":{\"type\":\"object\",\"properties\":{}}}"
done

# Answers the request of id $id with one more member.
answer() {
  say "{\"jsonrpc\":\"2.0\",\"id\":$id,$1}"
}

while IFS= read -r line; do
  [[ $mode != hang && $line =~ \"id\":([0-9]+) ]] || continue
  id=${BASH_REMATCH[1]}
  [[ $line =~ \"method\":\"([^\"]*)\" ]]
  case "$mode ${BASH_REMATCH[1]}" in
    "version initialize")
      answer "\"result\":{\"protocolVersion\":$json,\"capabilities\":{}}"
      ;;
    "refuse initialize" | "list tools/list")
      answer "\"error\":{\"code\":-32603,\"message\":$json,\"data\":$json}"
      ;;
    *" initialize")
      answer '"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"canary","version":"1"}}'
      ;;
    *" tools/list")
      answer "\"result\":{\"tools\":[${tools#,}]}"
      ;;
    *" tools/call")
      case $line in
        *'"name":"log"'*)
          say "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"error\",\"data\":$json}}"
          answer '"result":{"content":[]}'
          ;;
        *'"name":"die"'*)
          say "$told" >&2
          say "$told" >&2
          exit 9
          ;;
      esac
      ;;
    *)
      answer "\"error\":{\"code\":-32603,\"message\":$json,\"data\":$json}"
      ;;
  esac
done
