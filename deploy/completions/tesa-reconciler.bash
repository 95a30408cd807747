# bash: /usr/share/bash-completion/completions/tesa-reconciler
source <(tesa-reconciler completions bash 2>/dev/null)
