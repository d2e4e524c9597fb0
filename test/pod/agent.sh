# The agent: one long-lived process. It is given its environment once, when it starts to work, and makes a request
# each time that a file turns up which names one. Everything that it sends is a placeholder.
until [ -e /work/start ]; do sleep 0.1; done
. /work/environment
request() {
  curl --silent --show-error --max-time 10 --proxy "$AGENT_PROXY" --cacert /work/ca.pem --write-out ' %{http_code}\n' "$@"
}
number=1
while :; do
  until [ -e "/work/request-$number" ]; do sleep 0.1; done
  read -r what <"/work/request-$number"
  case "$what" in
    header) answer=$(request --header "PRIVATE-TOKEN: $GITLAB_TOKEN" https://gitlab.example.com/api/v4/user 2>&1) ;;
    basic) answer=$(request --user "oauth2:$GITLAB_TOKEN" https://gitlab.example.com/group/project.git/info/refs 2>&1) ;;
    query) answer=$(request --get --data-urlencode "private_token=$GITLAB_TOKEN" https://gitlab.example.com/api/v4/user 2>&1) ;;
    elsewhere) answer=$(request --header "PRIVATE-TOKEN: $GITLAB_TOKEN" https://elsewhere.example.com/ 2>&1) ;;
    *) answer="no such request" ;;
  esac
  # One line for each answer, with the process that gave it.
  echo "answer $number $$ $(echo "$answer" | tr '\n' ' ')"
  number=$((number + 1))
done
