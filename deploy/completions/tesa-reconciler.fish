# fish: /usr/share/fish/vendor_completions.d/tesa-reconciler.fish
tesa-reconciler completions fish 2>/dev/null | source
